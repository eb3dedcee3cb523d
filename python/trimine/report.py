"""trimine report: a result as a page, in one HTML file that needs nothing else.

The program runs this by `python3`; `python3 -m trimine.report RESULT [STORE...] -o page.html` does the same. It needs numpy
and h5py. docs/REPORT.md says how to read the page.
"""
import argparse
import os
import secrets
import sys

EXIT_USAGE, EXIT_ENVIRONMENT, EXIT_CREATE, EXIT_IO, EXIT_PERMISSION = 64, 69, 73, 74, 77


class Parser(argparse.ArgumentParser):
    def error(self, message):
        fail(EXIT_USAGE, message)


def fail(code, text):
    """One line, as the program says it; control characters of names as codes."""
    from .report_svg import printable
    print(f"trimine: error: {printable(text)}", file=sys.stderr)
    sys.exit(code)


def parse(arguments):
    parser = Parser(prog="trimine report", allow_abbrev=False, description="Makes a page of a result.")
    parser.add_argument("result")
    parser.add_argument("store", nargs="*")
    parser.add_argument("-o", "--output", required=True, metavar="FILE")
    parser.add_argument("--overwrite", action="store_true")
    parser.add_argument("--json-report", metavar="FILE")
    parser.add_argument("--images", metavar="PATH")
    parser.add_argument("--queries", action="append", default=[], metavar="FILE")
    parser.add_argument("--embeddings", metavar="PATH")
    for name in ("--labels", "--query-labels", "--ids", "--query-ids"):  # once, or once for each store
        parser.add_argument(name, action="append", default=[], metavar="PATH")
    parser.add_argument("--texts", metavar="FILE")
    parser.add_argument("--query-texts", metavar="FILE")
    return parser.parse_intermixed_args(arguments)


# A page for each form of results: which command makes it, by which option, and the module whose make(about) gives the verdict and
# the sections of its own.
KINDS = {
    "triplets": ("mine", "-o", "report_mine"),
    "lists": ("mine", "-o", "report_mine"),
    "knn": ("knn", "-o", "report_knn"),
    "radius": ("radius", "-o", "report_radius"),
    "ranks": ("eval", "--per-query", "report_eval"),
    "gradient": ("loss", "-o", "report_loss"),
}


class About:
    """What the page is about: the result, its job's report or None, and what is known of its rows and of its anchors', which are
    the same object where there is one set."""

    def __init__(self, result, report, rows, anchors):
        self.result, self.report, self.rows, self.anchors = result, report, rows, anchors


def check_store(store, result, rows):
    """Could the result be of these rows?"""
    from .errors import data
    unknown = next((file for file in store.files if file.rows is None), None)
    if unknown:
        raise data(f"{store.what} '{unknown.path}': a page reads HDF5 and .npy only")
    if store.rows != rows or store.dim != result.dim:
        raise data(f"{store.what} '{store.path}' has {store.rows} rows of {store.dim} dimensions, result '{result.path}' is of {rows} rows of {result.dim}")
    return store


def labels_of(store, queries):
    """The labels of the store's rows and of the queries', by one list of names; None where one of them has none."""
    from .report_data import Labels
    values = [None if one is None else one.values("labels") for one in (store, queries)]
    if any(value is None for value in values):
        return None, None
    if queries is store:
        labels = Labels.of(values[0])
        return labels, labels
    both = [Labels.of(value) for value in values]
    names = sorted({*both[0].names, *both[1].names})
    return both[0].by(names), both[1].by(names)


def open_report(path, result):
    from .errors import data
    from .report_data import read_json
    from .report_parts import part_of
    report = read_json(path, "report")
    what = "result_hash" if "result_hash" in result.attributes else "value"  # a gradient has no hash
    own, other = result.attributes.get(what), (part_of(report, "loss") if what == "value" else report).get(what)
    if own != other:
        raise data(f"report '{path}' is of another result: its {what} is {other}, that of '{result.path}' {own}")
    return report


def open_stores(options, result):
    """The store and the queries, which are the same where there is one set; None where they are not given."""
    from .rows import Store, queries_of
    named = options.embeddings, options.labels, options.ids
    store = check_store(Store(options.store, "store", *named), result, result.rows) if options.store else None
    if not result.two_sets:
        return store, store
    queries = queries_of(options.queries, *named, options.query_labels, options.query_ids) if options.queries else None
    return store, queries and check_store(queries, result, result.anchor_rows)


def open_rows(options, result):
    """What is known of the store's rows, and of the anchors'."""
    from .report_data import Rows, Texts
    from .report_pictures import Pixels, open_images
    store, queries = open_stores(options, result)
    labels, anchor_labels = labels_of(store, queries)

    def rows(of, labels, texts, count, pictures):
        return Rows(labels, of if of and of.has_ids() else None, Texts(texts, count) if texts else None, pictures)

    own = rows(store, labels, options.texts, result.rows, open_images(options.images, store) if options.images else Pixels.of(store))
    if not result.two_sets:
        return own, own
    return own, rows(queries, anchor_labels, options.query_texts, result.anchor_rows, Pixels.of(queries))


def make(options):
    """The page's text."""
    import importlib
    from . import report_html, report_parts
    from .errors import usage
    from .reading import reading
    from .report_data import Result
    result = Result(options.result)
    command, output, module = KINDS[result.form]
    report = open_report(options.json_report, result) if options.json_report else None
    for given, option in ((options.queries, "--queries"), (options.query_texts, "--query-texts"), (options.query_labels, "--query-labels"),
                          (options.query_ids, "--query-ids")):
        if given and not result.two_sets:
            raise usage(f"result '{result.path}' is of one set: it takes no {option}")
    about = About(result, report, *open_rows(options, result))
    with reading("result", options.result):  # its options may be anything
        said, sections = importlib.import_module(f".{module}", __package__).make(about)
        sections = [*sections, report_parts.time_section(report, command), report_parts.command_section(command, output, result, options.store, options.queries),
                    report_parts.source_section(result, options.store, options.queries)]
    return report_html.page(f"trimine {command}: {os.path.basename(result.path)}", said, [s for s in sections if s])


def write(path, text, overwrite):
    """Old or whole: beside its place first, then renamed to it."""
    from .errors import error
    if os.path.isdir(path):
        raise error(EXIT_CREATE, f"output '{path}': is a folder")
    if os.path.lexists(path) and not overwrite:
        raise error(EXIT_CREATE, f"output '{path}' exists; give --overwrite to replace it")
    if os.path.lexists(path) and not os.path.isfile(path):
        raise error(EXIT_CREATE, f"output '{path}': not a file")
    path = os.path.realpath(path)
    temporary = os.path.join(os.path.dirname(path), f".trimine-{secrets.token_hex(8)}.tmp")
    try:
        with open(temporary, "x", encoding="utf-8", errors="replace") as f:
            f.write(text)
            f.flush()
            os.fsync(f.fileno())
        os.replace(temporary, path)
    except FileNotFoundError:
        raise error(EXIT_CREATE, f"output '{path}': no such folder") from None
    except PermissionError:
        raise error(EXIT_PERMISSION, f"output '{path}': permission denied") from None
    except OSError as e:
        raise error(EXIT_IO, f"output '{path}': {os.strerror(e.errno) if e.errno else e}") from None
    finally:
        if os.path.lexists(temporary):
            os.unlink(temporary)


def check_output(options):
    """A page is called one, and nothing that is read is written over."""
    from .errors import error, usage
    if os.path.lexists(options.output) and not options.overwrite:
        raise error(EXIT_CREATE, f"output '{options.output}' exists; give --overwrite to replace it")
    for name in ("labels", "ids"):
        if getattr(options, name) and not options.store:
            raise usage(f"--{name} goes with a STORE behind the result")
    inputs = [options.result, *options.store, *options.queries, options.json_report, options.images]
    columns = [options.texts, options.query_texts, *options.labels, *options.query_labels, *options.ids, *options.query_ids]
    for path in inputs + columns + [given[:at] for given in columns if given for at, c in enumerate(given) if c == ":"]:
        if path and os.path.exists(path) and os.path.exists(options.output) and os.path.samefile(path, options.output):
            raise usage(f"output '{options.output}': is one of the inputs")
    if not options.output.lower().endswith((".html", ".htm")):
        raise usage(f"output '{options.output}': a page is an HTML file: call it .html or .htm")


def main(arguments=None):
    options = parse(arguments)
    try:
        import h5py  # noqa: F401
        import numpy  # noqa: F401
    except ImportError as e:
        fail(EXIT_ENVIRONMENT, f"a page needs Python with numpy and h5py, and {sys.executable} has no {e.name}: install python3-numpy and python3-h5py "
                               "(Debian), or numpy and h5py (pip); TRIMINE_PYTHON=/path/to/python3 chooses another Python")
    from .errors import TrimineError
    try:
        check_output(options)
        write(options.output, make(options), options.overwrite)
    except TrimineError as e:
        fail(e.code, e.message)
    except MemoryError:
        fail(71, "not enough memory for the page")
    except OSError as e:
        fail(EXIT_IO, str(e))
    except KeyboardInterrupt:
        fail(75, "stopped")
    return 0


if __name__ == "__main__":
    sys.exit(main())
