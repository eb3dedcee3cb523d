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
    return parser.parse_intermixed_args(arguments)


def open_store(paths, what, result, rows, embeddings, labels):
    from .report_data import ReportError, Store
    store = Store(paths, what, embeddings, labels)
    if store.rows != rows or store.dim != result.dim:
        raise ReportError(EXIT_DATA, f"{what} '{paths[0]}' has {store.rows} rows of {store.dim} dimensions, result '{result.path}' is of {rows} rows of {result.dim}")
    return store


def common_labels(store, queries):
    """The labels of the store's rows and of the queries', by one list of names; None where one of them has none."""
    import numpy as np
    from .report_data import Labels
    if queries is None:
        return (store.labels, store.labels) if store else (None, None)
    if store is None or store.labels is None or queries.labels is None:
        return None, None
    values = [np.array(s.labels.names)[s.labels.codes] for s in (store, queries)]
    both = Labels.of(np.concatenate(values))
    return Labels(both.codes[:store.rows], both.names), Labels(both.codes[store.rows:], both.names)


def make(options):
    """The page's text."""
    from . import report_html, report_page as p
    from .report_data import ReportError, Result, label_file_of, read_json
    from .report_facts import Facts
    from .report_pictures import Pictures, Pixels, open_images
    result = Result(options.result)
    if result.format not in ("trimine-triplets", "trimine-lists"):
        raise ReportError(EXIT_DATA, f"result '{result.path}': of format '{result.format}'; there is a page of triplets and of lists of them only")
    report = read_json(options.json_report, "report") if options.json_report else None
    if report is not None and report.get("result_hash") != result.attrs.get("result_hash"):
        raise ReportError(EXIT_DATA, f"report '{options.json_report}' is of another result: its result_hash is {report.get('result_hash')}, "
                                     f"that of '{result.path}' {result.attrs.get('result_hash')}")
    if options.queries and not result.two_sets:
        raise ReportError(EXIT_USAGE, f"result '{result.path}' is of one set: it takes no --queries")
    store = open_store(options.store, "store", result, result.rows, options.embeddings, options.labels) if options.store else None
    of_queries = options.query_labels or (None if label_file_of(options.labels) else options.labels)
    queries = open_store(options.queries, "queries", result, result.anchor_rows, options.embeddings, of_queries) if options.queries else None
    labels, anchor_labels = (None, None) if result.two_sets and queries is None else common_labels(store, queries)
    facts = Facts(result, labels, anchor_labels)
    of_store = open_images(options.images, store) if options.images else Pixels.of(store)
    pictures = Pictures(of_store, Pixels.of(queries) if result.two_sets else of_store)
    funnel = p.funnel_of(facts, report)
    sections = [p.funnel_section(facts, funnel, report), p.distances_section(facts), p.classes_section(facts), p.confusion_section(facts),
                p.hubs_section(facts, pictures), p.examples_section(facts, pictures), p.time_section(report),
                p.command_section(result, options.store, options.queries), p.source_section(result, options.store)]
    return report_html.page(f"trimine: {os.path.basename(result.path)}", p.verdict(facts, funnel), sections)


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
