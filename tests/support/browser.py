"""A browser without a window, told what to do over pipes: one start for many pages. Chromium's own protocol, no package needed.

    with Browser(program, profile) as browser:
        page = browser.open("file:///...", width=390)
        page.evaluate("document.title"), page.picture("page.png"), page.complaints
"""
import base64
import json
import os
import select
import subprocess
import time

# What readers may stumble over: pictures without a word for them, tables without headings, letters that are hard to see on
# what is behind them, and a page that is wider than the window.
AUDIT = """(function(){
  var found=[];
  function channel(c){c/=255;return c<=0.03928?c/12.92:Math.pow((c+0.055)/1.055,2.4)}
  function light(c){return 0.2126*channel(c[0])+0.7152*channel(c[1])+0.0722*channel(c[2])}
  function colour(text){var m=text.match(/[\\d.]+/g);return m&&(m.length<4||Number(m[3])>0.99)?m.slice(0,3).map(Number):null}
  function behind(e){for(;e;e=e.parentElement){var c=colour(getComputedStyle(e).backgroundColor);if(c)return c}return [255,255,255]}
  document.querySelectorAll('body *').forEach(function(e){
    var own=Array.from(e.childNodes).some(function(n){return n.nodeType===3&&n.textContent.trim()});
    if(!own||!e.getClientRects().length||e.closest('title,desc'))return;
    var style=getComputedStyle(e),ink=colour(e.closest('svg')?style.fill:style.color);
    if(!ink)return;
    var a=light(ink),b=light(behind(e)),ratio=(Math.max(a,b)+0.05)/(Math.min(a,b)+0.05);
    if(ratio<4.5)found.push('contrast '+ratio.toFixed(2)+': '+e.textContent.trim().slice(0,40));
  });
  document.querySelectorAll('img').forEach(function(e){if(!e.alt||!e.complete||!e.naturalWidth)found.push('a picture: '+e.outerHTML.slice(0,60))});
  document.querySelectorAll('svg[role=img]').forEach(function(e){if(!e.querySelector('title')&&!e.getAttribute('aria-label'))found.push('a plot without a title')});
  document.querySelectorAll('table').forEach(function(t){
    if(!t.querySelector('th[scope=col]')||!t.querySelector('thead'))found.push('a table without headings: '+t.id);
    t.querySelectorAll('th').forEach(function(h){if(!h.textContent.trim())found.push('an empty heading: '+t.id)});
    if(!t.closest('[role=region][aria-label]'))found.push('a table without a name: '+t.id);
  });
  document.querySelectorAll('button').forEach(function(b){if(!b.textContent.trim())found.push('a button without a word')});
  var wide=document.documentElement.scrollWidth;
  if(wide>innerWidth)found.push('the page is '+wide+' wide in a window of '+innerWidth);
  return found.slice(0,20);
})()"""


class Page:
    def __init__(self, browser, session):
        self.browser, self.session = browser, session

    def call(self, method, **parameters):
        return self.browser.call(method, parameters, self.session)

    @property
    def complaints(self):
        """What the page's scripts threw, and what the browser refused it."""
        return [json.dumps(e["params"])[:300] for e in self.browser.events if e.get("sessionId") == self.session and
                e["method"] in ("Runtime.exceptionThrown", "Log.entryAdded", "Page.javascriptDialogOpening")]

    def evaluate(self, script):
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def width(self, width):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)

    def seen_as(self, deficiency):
        """As somebody sees it who does not tell all colours apart: deuteranopia, achromatopsia, none."""
        self.call("Emulation.setEmulatedVisionDeficiency", type=deficiency)

    def picture(self, path):
        """The whole page, as a PNG file."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], 16000), "scale": 1}
        with open(path, "wb") as f:
            f.write(base64.b64decode(self.call("Page.captureScreenshot", clip=clip, captureBeyondViewport=True)["data"]))

    def print(self, path):
        with open(path, "wb") as f:
            f.write(base64.b64decode(self.call("Page.printToPDF", preferCSSPageSize=True)["data"]))


class Browser:
    def __init__(self, program, profile, patience=900):
        self.last, self.events, self.waiting, self.until = 0, [], b"", time.monotonic() + patience
        (its_in, self.out), (self.into, its_out) = os.pipe(), os.pipe()

        def take_places():  # it reads from 3 and writes to 4
            a, b = os.dup(its_in), os.dup(its_out)
            os.dup2(a, 3)
            os.dup2(b, 4)

        self.process = subprocess.Popen([program, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars", "--no-first-run",
                                         f"--user-data-dir={profile}", "--remote-debugging-pipe"], close_fds=False, preexec_fn=take_places,
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(its_in)
        os.close(its_out)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            self.call("Browser.close", {})
            self.process.wait(30)
        except (OSError, RuntimeError, subprocess.TimeoutExpired):
            self.process.kill()
            self.process.wait()
        os.close(self.out)
        os.close(self.into)

    def receive(self):
        """The next message."""
        while b"\0" not in self.waiting:
            if not select.select([self.into], [], [], max(0.0, self.until - time.monotonic()))[0]:
                raise RuntimeError("the browser does not answer")
            some = os.read(self.into, 1 << 20)
            if not some:
                raise RuntimeError("the browser has ended")
            self.waiting += some
        message, self.waiting = self.waiting.split(b"\0", 1)
        return json.loads(message)

    def call(self, method, parameters, session=None):
        self.last += 1
        message = {"id": self.last, "method": method, "params": parameters, **({"sessionId": session} if session else {})}
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self.out, data):]
        while True:
            answer = self.receive()
            if answer.get("id") == self.last:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
            if "method" in answer:
                self.events.append(answer)

    def open(self, address, width=1280):
        target = self.call("Target.createTarget", {"url": "about:blank"})["targetId"]
        page = Page(self, self.call("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"])
        for domain in ("Page", "Runtime", "Log"):
            page.call(f"{domain}.enable")
        page.width(width)
        page.call("Page.navigate", url=address)
        while not any(e.get("sessionId") == page.session and e["method"] == "Page.loadEventFired" for e in self.events):
            self.events.append(self.receive())
        return page
