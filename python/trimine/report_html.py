"""The page around the sections: style, the one script, and what keeps a browser from fetching or running anything else."""
import base64
import hashlib

from .report_svg import esc

STYLE = """
:root{color-scheme:light}
*{box-sizing:border-box}
body{margin:0;background:#f4f5f7;color:#1b1b1b;font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Liberation Sans",sans-serif;overflow-wrap:break-word}
main{max-width:1240px;margin:0 auto;padding:0 16px 40px}
header{background:#12324f;color:#fff;padding:18px 0 20px}
header>div{max-width:1240px;margin:0 auto;padding:0 16px}
h1{font-size:1rem;font-weight:600;margin:0 0 6px;opacity:.85;overflow-wrap:anywhere}
.verdict{font-size:1.35rem;line-height:1.35;margin:0;font-weight:600}
.verdict+p{margin:8px 0 0}
nav{display:flex;flex-wrap:wrap;gap:4px 14px;padding:12px 0 0;font-size:.9rem}
nav a{color:#0b4f8a}
section{background:#fff;border:1px solid #d9dde2;border-radius:8px;padding:14px 18px 18px;margin:14px 0 0}
h2{font-size:1.2rem;margin:0 0 6px}
h3{font-size:1rem;margin:18px 0 4px}
p{margin:6px 0}
.hint{color:#4a4a4a;font-size:.92rem;margin:0 0 8px}
.warning{border-left:4px solid #d55e00;padding:2px 0 2px 10px;overflow-wrap:anywhere}
pre{background:#f1f3f5;border:1px solid #d9dde2;border-radius:6px;padding:10px;margin:8px 0 0;white-space:pre-wrap;overflow-wrap:anywhere}
code{font:.88em/1.5 ui-monospace,"Liberation Mono",Menlo,monospace}
.wide{overflow-x:auto;max-width:100%;background:linear-gradient(90deg,#fff 30%,#fff0) 0 0/40px 100% no-repeat local,linear-gradient(270deg,#fff 30%,#fff0) 100% 0/40px 100% no-repeat local,linear-gradient(90deg,#0003,#0000) 0 0/12px 100% no-repeat scroll,linear-gradient(270deg,#0003,#0000) 100% 0/12px 100% no-repeat scroll}
.wide table{white-space:nowrap}
table{border-collapse:collapse;font-size:.92rem;margin:6px 0 0}
th,td{padding:4px 10px;text-align:left;border-bottom:1px solid #e4e7ea;vertical-align:middle}
th{font-weight:600;color:#333}
tbody th{font-weight:500}
thead th{border-bottom:2px solid #b9c0c7}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
th button{font:inherit;color:inherit;background:none;border:0;padding:4px 0;cursor:pointer;text-align:inherit;text-decoration:underline dotted}
th[aria-sort=ascending] button::after{content:" \\25b2"}
th[aria-sort=descending] button::after{content:" \\25bc"}
.side{display:flex;flex-wrap:wrap;gap:6px 36px;align-items:flex-start}
.side>*{max-width:100%;min-width:0}
.js{display:none}
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(320px,100%),1fr));gap:14px}
figure{margin:0}
figure svg{display:block;width:100%;height:auto;max-width:560px}
figcaption{font-size:.9rem;color:#333}
svg text{font:11.5px system-ui,"Liberation Sans",sans-serif;fill:#333;paint-order:stroke;stroke:#fff;stroke-width:3px;stroke-linejoin:round}
svg .grid{stroke:#e2e5e8;fill:none}
svg .axis{stroke:#666;fill:none}
svg.bar{display:block;width:100%;height:22px}
.key{display:inline-block;width:22px;border-top:3px solid;vertical-align:middle}
.key.dashed{border-top-style:dashed}
.key.box{width:13px;height:13px;border:1px solid #444;margin:0 4px 0 0}
.step{margin:6px 0}
.what{font-size:.95rem}
.track{background:#e8ebee;border-radius:3px;height:14px;max-width:720px;display:flex;overflow:hidden}
.track div{background:#0072b2;height:100%;min-width:2px}
.track i{height:100%;background:repeating-linear-gradient(45deg,#d55e00 0 3px,#fff 3px 6px)}
.track.thin{min-width:180px}
.drop{color:#8a3a00;font-size:.92rem;margin:2px 0 2px 14px}
hr{border:0;border-top:1px dashed #c3c9cf;margin:12px 0}
table.grid th,table.grid td{padding:3px 6px;border:1px solid #fff;text-align:center;font-size:.82rem}
table.grid th[scope=row]{text-align:right;white-space:nowrap}
table.grid th.upright span{writing-mode:vertical-rl;transform:rotate(180deg);white-space:nowrap;max-height:11em;overflow:hidden}
td.self{background:repeating-linear-gradient(45deg,#e4e7ea 0 2px,#fff 2px 6px)}
.thumb{display:block;width:84px;height:84px;object-fit:contain;image-rendering:pixelated;background:#000;border-radius:3px}
.examples{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(310px,100%),1fr));gap:12px;margin:8px 0 0}
.hubs{display:grid;grid-template-columns:repeat(auto-fill,minmax(110px,1fr));gap:12px;margin:8px 0 0}
.hubs .card{break-inside:avoid}
.id,.text{color:#4a4a4a;font-size:.8rem}
.text{margin-top:2px}
.example{border:1px solid #d9dde2;border-radius:6px;padding:8px;break-inside:avoid}
.cards{display:flex;gap:8px}
.card{flex:1 1 0;min-width:0;border-top:4px solid;padding-top:3px;font-size:.85rem;line-height:1.3;overflow-wrap:anywhere}
.card span,.card b{display:block}
.role{color:#4a4a4a;font-size:.8rem}
.one{white-space:nowrap}
.far{font-size:.88rem;margin-top:6px;color:#333}
footer{color:#4a4a4a;font-size:.85rem;padding:16px 0 0}
@media (max-width:520px){main,header>div{padding-left:10px;padding-right:10px}section{padding:12px}.verdict{font-size:1.15rem}th,td{padding:4px 7px}.plots,.examples{gap:10px}.track.thin{min-width:70px}}
@media print{
@page{margin:14mm}
body{background:#fff;font-size:10.5pt}
header{background:#fff;color:#000;border-bottom:2px solid #000;padding:0 0 8px}
section{border:0;border-top:1px solid #999;border-radius:0;padding:8px 0}
nav,.js{display:none!important}
*{-webkit-print-color-adjust:exact;print-color-adjust:exact}
figure,.example,.step,tr,.side table{break-inside:avoid}
.thumb{width:56px;height:56px}
.examples{grid-template-columns:1fr 1fr 1fr}
h2,h3,.hint,section>p{break-after:avoid}
.plots{grid-template-columns:1fr 1fr}
.wide{overflow:visible;background:none}
.wide table{white-space:normal}
table{font-size:8.5pt}
th,td{padding:2px 5px}
}
"""

# Sorting is an extra: the page is whole without it. Nothing is made of text, so names can't become markup.
SCRIPT = """
document.querySelectorAll('.js').forEach(function(e){e.style.display='inline'});
document.querySelectorAll('table.sortable').forEach(function(table){
  var body=table.tBodies[0];
  table.querySelectorAll('thead th').forEach(function(th,column){
    if(!body.rows.length||!body.rows[0].cells[column].hasAttribute('data-v'))return;
    var button=document.createElement('button');
    button.textContent=th.textContent;th.textContent='';th.appendChild(button);
    button.addEventListener('click',function(){
      var isNumber=th.classList.contains('n'),was=th.getAttribute('aria-sort');
      var down=was?was==='ascending':isNumber;
      table.querySelectorAll('th').forEach(function(o){o.removeAttribute('aria-sort')});
      th.setAttribute('aria-sort',down?'descending':'ascending');
      function key(row){var v=row.cells[column].getAttribute('data-v');
        return isNumber?(v===''?-Infinity:Number(v)):v}
      Array.from(body.rows).sort(function(a,b){var x=key(a),y=key(b);
        var c=isNumber?(x<y?-1:x>y?1:0):x.localeCompare(y,undefined,{numeric:true});
        return down?-c:c}).forEach(function(row){body.appendChild(row)});
    });
  });
});
"""

def page(title, said, sections):
    """said: the verdict's sentences; sections: of report_parts, in their order."""
    digest = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
    links = "".join(f'<a href="#{s.name}">{esc(s.link)}</a>' for s in sections)
    rest = f"<p>{esc(' '.join(said[1:]))}</p>" if said[1:] else ""
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{esc(title)}</title>
<link rel="icon" href="data:,">
<style>{STYLE}</style>
</head>
<body>
<header><div><h1>{esc(title)}</h1><p class="verdict" id="verdict">{esc(said[0])}</p>{rest}</div></header>
<main>
<nav aria-label="Sections">{links}</nav>
{"".join(s.html for s in sections)}
<footer>Made by trimine report. This page loads nothing and sends nothing; it is the same for the same files.</footer>
</main>
<script>{SCRIPT}</script>
</body>
</html>
"""
