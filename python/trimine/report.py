"""trimine report: a result as a page, in one HTML file that needs nothing else.

The program runs this by `python3`; `python3 -m trimine.report RESULT [STORE...] -o page.html` does the same. It needs numpy
and h5py. docs/REPORT.md says how to read the page.
"""
import argparse
import os
import sys

EXIT_USAGE, EXIT_DATA, EXIT_ENVIRONMENT, EXIT_CREATE, EXIT_IO, EXIT_PERMISSION = 64, 65, 69, 73, 74, 77


class Parser(argparse.ArgumentParser):
    def error(self, message):
        fail(EXIT_USAGE, message)


def fail(code, text):
    """One line, as the program says it; control characters of names as codes."""
    text = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)
    print(f"trimine: error: {text}", file=sys.stderr)
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
    parser.add_argument("--labels", metavar="PATH")
    parser.add_argument("--query-labels", metavar="PATH")
    parser.add_argument("--ids", metavar="PATH")
    parser.add_argument("--texts", metavar="FILE")
    parser.add_argument("--query-texts", metavar="FILE")
    return parser.parse_intermixed_args(arguments)


# A page for each kind of result: which command makes it, by which option, and the module whose make(about) gives the verdict and
# the sections of its own.
KINDS = {
    "trimine-triplets": ("mine", "-o", "report_mine"),
    "trimine-lists": ("mine", "-o", "report_mine"),
    "trimine-knn": ("knn", "-o", "report_knn"),
    "trimine-radius": ("radius", "-o", "report_radius"),
    "trimine-eval": ("eval", "--per-query", "report_eval"),
    "trimine-gradient": ("loss", "-o", "report_loss"),
}


class About:
    """What the page is about: the result, its job's report or None, and what is known of its rows and of its anchors', which are
    the same object where there is one set."""

    def __init__(self, result, report, rows, anchors):
        self.result, self.report, self.rows, self.anchors = result, report, rows, anchors


def open_store(paths, what, result, rows, embeddings, labels, ids):
    from .report_data import ReportError, Store
    store = Store(paths, what, embeddings, labels, ids)
    if store.rows != rows or store.dim != result.dim:
        raise ReportError(EXIT_DATA, f"{what} '{paths[0]}' has {store.rows} rows of {store.dim} dimensions, result '{result.path}' is of {rows} rows of {result.dim}")
    return store


def common_labels(store, queries):
    """The labels of the store's rows and of the queries', by one list of names; None where one of them has none."""
    import numpy as np
    from .report_data import Labels
    if store is None or queries is None or store.labels is None or queries.labels is None:
        return None, None
    if queries is store:
        return store.labels, store.labels
    values = [np.array(s.labels.names)[s.labels.codes] for s in (store, queries)]
    both = Labels.of(np.concatenate(values))
    return Labels(both.codes[:store.rows], both.names), Labels(both.codes[store.rows:], both.names)


def open_report(path, result):
    from .report_data import ReportError, read_json
    from .report_parts import part_of
    report = read_json(path, "report")
    what = "result_hash" if "result_hash" in result.attrs else "value"  # a gradient has no hash
    own, other = result.attrs.get(what), (part_of(report, "loss") if what == "value" else report).get(what)
    if own != other:
        raise ReportError(EXIT_DATA, f"report '{path}' is of another result: its {what} is {other}, that of '{result.path}' {own}")
    return report


def open_rows(options, result):
    """What is known of the store's rows, and of the anchors'."""
    from .report_data import Rows, Texts, label_file_of
    from .report_pictures import Pixels, open_images
    store = open_store(options.store, "store", result, result.rows, options.embeddings, options.labels, options.ids) if options.store else None
    of_queries = options.query_labels or (None if label_file_of(options.labels) else options.labels)
    queries = store if not result.two_sets else \
        open_store(options.queries, "queries", result, result.anchor_rows, options.embeddings, of_queries, options.ids) if options.queries else None
    labels, anchor_labels = common_labels(store, queries)
    images = open_images(options.images, store) if options.images else Pixels.of(store)
    rows = Rows(labels, store if store and store.ids else None, Texts(options.texts, result.rows) if options.texts else None, images)
    if not result.two_sets:
        return rows, rows
    return rows, Rows(anchor_labels, queries if queries and queries.ids else None, Texts(options.query_texts, result.anchor_rows) if options.query_texts else None,
                      Pixels.of(queries))


def make(options):
    """The page's text."""
    import importlib
    from . import report_html, report_parts
    from .report_data import ReportError, Result
    result = Result(options.result)
    if result.format not in KINDS:
        raise ReportError(EXIT_DATA, f"result '{result.path}': of format '{result.format}'; there are pages of {', '.join(kind[8:] for kind in KINDS)}")
    command, output, module = KINDS[result.format]
    report = open_report(options.json_report, result) if options.json_report else None
    for given, option in ((options.queries, "--queries"), (options.query_texts, "--query-texts")):
        if given and not result.two_sets:
            raise ReportError(EXIT_USAGE, f"result '{result.path}' is of one set: it takes no {option}")
    about = About(result, report, *open_rows(options, result))
    said, sections = importlib.import_module(f".{module}", __package__).make(about)
    sections = [*sections, report_parts.time_section(report, command), report_parts.command_section(command, output, result, options.store, options.queries),
                report_parts.source_section(result, options.store, options.queries)]
    return report_html.page(f"trimine {command}: {os.path.basename(result.path)}", said, [s for s in sections if s])


def write(path, text, overwrite):
    """Old or whole: beside its place first, then renamed to it."""
    from .report_data import ReportError
    if os.path.isdir(path):
        raise ReportError(EXIT_CREATE, f"output '{path}': is a folder")
    if os.path.lexists(path) and not overwrite:
        raise ReportError(EXIT_CREATE, f"output '{path}': exists; --overwrite replaces it")
    if os.path.lexists(path) and not os.path.isfile(path):
        raise ReportError(EXIT_CREATE, f"output '{path}': not a file")
    path = os.path.realpath(path)
    temporary = os.path.join(os.path.dirname(path), f".{os.path.basename(path)}.trimine-tmp-{os.getpid()}")
    try:
        with open(temporary, "x", encoding="utf-8", errors="replace") as f:
            f.write(text)
            f.flush()
            os.fsync(f.fileno())
        os.replace(temporary, path)
    except FileNotFoundError:
        raise ReportError(EXIT_CREATE, f"output '{path}': no such folder") from None
    except PermissionError:
        raise ReportError(EXIT_PERMISSION, f"output '{path}': permission denied") from None
    except OSError as e:
        raise ReportError(EXIT_IO, f"output '{path}': {os.strerror(e.errno) if e.errno else e}") from None
    finally:
        if os.path.lexists(temporary):
            os.unlink(temporary)


def main(arguments=None):
    options = parse(arguments)
    try:
        import h5py  # noqa: F401
        import numpy  # noqa: F401
    except ImportError as e:
        fail(EXIT_ENVIRONMENT, f"a page needs Python with numpy and h5py, and {sys.executable} has no {e.name}: install python3-numpy and python3-h5py "
                               "(Debian), or numpy and h5py (pip); TRIMINE_PYTHON=/path/to/python3 chooses another Python")
    from .report_data import ReportError
    try:
        if os.path.lexists(options.output) and not options.overwrite:
            raise ReportError(EXIT_CREATE, f"output '{options.output}': exists; --overwrite replaces it")
        write(options.output, make(options), options.overwrite)
    except ReportError as e:
        fail(e.code, str(e))
    except MemoryError:
        fail(71, "not enough memory for the page")
    except OSError as e:
        fail(EXIT_IO, str(e))
    return 0


if __name__ == "__main__":
    sys.exit(main())
