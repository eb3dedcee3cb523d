"""Relevance judgements by ids of your own, as pairs of row ids: what --pairs takes.

    python3 -m trimine.qrels qrels.tsv --queries queries.jsonl --corpus corpus.jsonl -o pairs.txt

The files of queries and of documents have one of them a line, in the order of the rows of the embeddings. docs/MINING.md
("Pairs by your own ids") has their forms.
"""
import csv
import os
import sys
from typing import NamedTuple

import numpy as np

from .errors import TrimineError
from .reading import first_bytes, open_hdf5, reading, text_of, values_of
from .rows import JSON, TABLES, Store, ends, read_side_file, split_column, text_of_json, value_of_json

HDF5 = (".h5", ".hdf5")
ID_KEYS = ("_id", "id", "docid", "doc_id", "query_id", "qid", "pid")  # BEIR, MTEB; Pyserini; ir_datasets; MS MARCO

JUDGED_KEYS = (("query-id", "query_id", "qid"), ("corpus-id", "corpus_id", "doc_id", "docid", "pid"))  # BEIR and MTEB; ir_datasets; others
RELEVANCE_KEYS = ("score", "relevance")


class Qrels(NamedTuple):
    """pairs -- (row of the query, row of the document) of each line, in the order of the file
    heading -- was its first line one
    irrelevant -- lines with a lower relevance, which are left out
    unknown -- lines with an id that is in neither file, which are left out where that is asked for
    graded -- pairs of a relevance above 1, which count as any others
    """
    pairs: list
    heading: bool
    irrelevant: int
    unknown: int = 0
    graded: int = 0


def refuse(message, code=65, kind="data"):
    return TrimineError(code, kind, message)


def open_text(path, what):
    """A file of text, with the mark that Windows puts before it or not."""
    try:
        return open(path, encoding="utf-8-sig", newline="")
    except FileNotFoundError:
        raise refuse(f"{what} '{path}': No such file", 66, "no_input") from None
    except PermissionError:
        raise refuse(f"{what} '{path}': Permission denied", 77, "permission") from None
    except OSError as e:
        raise refuse(f"{what} '{path}': {os.strerror(e.errno)}", 74, "io") from None


def ids_of_json(path, what, file, key):
    keys = ID_KEYS if key is None else (key,)
    return [text_of_json(path, what, number, value_of_json(path, what, number, line), keys) for number, line in enumerate(file, 1)]


def ids_of_table(path, what, file, column, delimiter):
    """column -- its name in the heading, or its number from 1 on; None: the first, of a file without a heading"""
    records = list(csv.reader(file, delimiter=delimiter, quoting=csv.QUOTE_MINIMAL if delimiter == "," else csv.QUOTE_NONE))
    if column is None or column.isdigit():
        place = int(column or 1) - 1
    elif records and column in records[0]:
        place = records.pop(0).index(column)
    else:
        raise refuse(f"{what} '{path}': no column '{column}' in its first line")
    short = next((i for i, r in enumerate(records) if len(r) <= place), None)
    if short is not None:
        raise refuse(f"{what} '{path}': record {short + 1} has {len(records[short])} fields, and no field {place + 1}")
    return [record[place] for record in records]


def ids_of_store(path, what, dataset):
    with Store([path], what, ids=dataset) as store:
        ids = store.values("ids")
    if ids is None:
        raise refuse(f"{what} '{path}': has no ids: needs a dataset 'ids' with one a row, or a file of them")
    return ids


def read_ids(path, what="ids"):
    """The ids of a file, in its order: a list of texts.

    path -- .jsonl with an object a line; .csv or .tsv, a record a row; a store of HDF5; .npy; any other name: an id a line. Behind a
            colon the key, the column, by its name in the heading or by its number from 1 on, or the dataset (docs.csv:id, docs.jsonl:docno)
    """
    name, colon, column = split_column(path)
    if not colon or os.path.exists(path):
        name, column = path, None
    ending = os.path.splitext(name)[1].lower()
    if ending in HDF5 or ending == ".npy":
        ids = [text_of(id) for id in (ids_of_store(name, what, column) if ending in HDF5 else read_side_file(name, None, what, None)).tolist()]
        rows_of(ids, f"{what} '{name}'")
        return ids
    with open_text(name, what) as file:
        try:
            if ending in JSON:
                ids = ids_of_json(name, what, file, column)
            elif ending in TABLES:
                ids = ids_of_table(name, what, file, column, "," if ending == ".csv" else "\t")
            else:
                ids = [line.rstrip("\r\n") for line in file]
        except UnicodeDecodeError:
            raise refuse(f"{what} '{name}': is no UTF-8 text: needs the ids, one for each row") from None
        except csv.Error as e:
            raise refuse(f"{what} '{name}': {e}") from None
    if "" in ids:
        raise refuse(f"{what} '{name}': line {ids.index('') + 1} is empty, where an id should be")
    rows_of(ids, f"{what} '{name}'")
    return ids


def rows_of(ids, what):
    """The row of each id."""
    rows = {id: row for row, id in enumerate(ids)}
    if len(rows) < len(ids):
        row = next(row for row, id in enumerate(ids) if rows[id] != row)
        raise refuse(f"{what}: rows {row} and {rows[ids[row]]} have the same id '{ids[row]}'")
    return rows


def relevance_of(path, place, text):
    try:
        return float(text)
    except (ValueError, TypeError):
        raise refuse(f"qrels '{path}': {place}: the relevance '{text}' is no number") from None


def refuse_unknown(path, place, what, id, rows, others):
    if id in others:
        hint = f"; a {'document' if what == 'query' else 'query'} is called so: the two files are swapped, or the columns"
    else:
        hint = f" (the first is '{next(iter(rows))}'); --skip-unknown leaves such lines out" if rows else ""
    return refuse(f"qrels '{path}': {place}: there is no {what} '{id}'{hint}")


def judgements_of_arrays(path):
    """Of HDF5 with /query and /positive, or of a .npy of two columns: where each is, and both ids."""
    with reading("qrels", path):
        if first_bytes(path, "qrels").startswith(b"\x93NUMPY"):
            columns = np.load(path, allow_pickle=False).T
        else:
            with open_hdf5(path, "qrels") as file:
                columns = [values_of(file[name]) for name in ("query", "positive")]
        query, positive = ([text_of(id) for id in np.asarray(column).tolist()] for column in columns)
    if len(query) != len(positive):
        raise refuse(f"qrels '{path}': has {len(query)} queries and {len(positive)} positives")
    for number, fields in enumerate(zip(query, positive)):
        yield f"pair {number}", False, fields


def judgements_of_json(path):
    with open_text(path, "qrels") as file:
        for number, line in enumerate(file, 1):
            judged = value_of_json(path, "qrels", number, line)
            ids = [text_of_json(path, "qrels", number, judged, keys) for keys in JUDGED_KEYS]
            yield f"line {number}", False, [*ids, *[judged[key] for key in RELEVANCE_KEYS if key in judged][:1]]


def judgements_of_text(path):
    with open_text(path, "qrels") as file:
        delimiter = None
        for number, line in enumerate(file, 1):
            if delimiter is None:
                delimiter = "\t" if "\t" in line else "," if "," in line else " "
            fields = line.split() if delimiter == " " else [f.strip() for f in line.split(delimiter)]
            if not line.strip():
                continue
            if len(fields) not in (2, 3, 4):
                raise refuse(f"qrels '{path}': line {number} has {len(fields)} field{'s' if len(fields) > 1 else ''}, needs query, document "
                             "and, if you like, relevance, or TREC's four")
            yield f"line {number}", number == 1, fields


def read_qrels(path, query_ids, ids, least=1.0, skip_unknown=False):
    """A file of judgements, by the rows that ids stand for: Qrels, whose pairs mine, evaluate and others take.

    path -- a judgement a line: query, document; query, document, relevance (BEIR); or query, anything, document, relevance (TREC);
            with tabs, spaces or commas between. Where neither id of the first line is known, it is a heading. Or .jsonl with such
            objects ("query-id", "corpus-id", "score"), HDF5 with datasets /query and /positive, or a .npy of two columns
    query_ids, ids -- of the rows of the queries and of the store, in their order (read_ids)
    least -- lines with a lower relevance are left out
    skip_unknown -- so are lines with an id that is not there: of a part of the queries, or of the documents
    """
    of_query, of_document = rows_of([str(i) for i in query_ids], "queries"), rows_of([str(i) for i in ids], "documents")
    pairs, heading, irrelevant, unknown, graded = [], False, 0, 0, 0
    judgements = judgements_of_arrays if ends(path, HDF5 + (".npy",)) else judgements_of_json if ends(path, JSON) else judgements_of_text
    for place, may_be_heading, fields in judgements(path):
        query, document = fields[0], fields[2 if len(fields) == 4 else 1]
        if may_be_heading and {query, document}.isdisjoint(of_query) and {query, document}.isdisjoint(of_document):
            heading = True
            continue
        relevance = relevance_of(path, place, fields[-1]) if len(fields) > 2 else least
        if relevance < least:
            irrelevant += 1
        elif query in of_query and document in of_document:
            pairs.append((of_query[query], of_document[document]))
            graded += len(fields) > 2 and relevance > 1
        elif skip_unknown:
            unknown += 1
        elif query not in of_query:
            raise refuse_unknown(path, place, "query", query, of_query, of_document)
        else:
            raise refuse_unknown(path, place, "document", document, of_document, of_query)
    if heading and not pairs and not irrelevant:
        raise refuse(f"qrels '{path}': no line has an id of a query or of a document")
    if unknown and not pairs:
        raise refuse(f"qrels '{path}': no line has a query and a document that are there")
    return Qrels(pairs, heading, irrelevant, unknown, graded)


def parse(arguments):
    from .report import Parser
    parser = Parser(prog="python3 -m trimine.qrels", allow_abbrev=False,
                    description="Writes relevance judgements by ids as pairs of row ids, which --pairs takes.")
    parser.add_argument("qrels", metavar="QRELS", help="query, document and, if you like, relevance a line; or TREC's four fields")
    parser.add_argument("--queries", required=True, metavar="FILE", help="the ids of the queries, in the order of their rows")
    parser.add_argument("--corpus", required=True, metavar="FILE", help="the ids of the documents, in the order of the store's rows")
    parser.add_argument("--least", type=float, default=1.0, metavar="X", help="leave out lines with a lower relevance (default 1)")
    parser.add_argument("--skip-unknown", action="store_true", help="leave out lines with an id that is not in its file")
    parser.add_argument("-o", "--output", required=True, metavar="FILE")
    parser.add_argument("--overwrite", action="store_true", help="replace FILE where it exists")
    return parser.parse_args(arguments)


def main(arguments=None):
    from .report import fail, write
    from .errors import error
    options = parse(arguments)
    try:
        if os.path.lexists(options.output) and not options.overwrite:
            raise error(73, f"output '{options.output}' exists; give --overwrite to replace it")
        queries, documents = read_ids(options.queries, "queries"), read_ids(options.corpus, "documents")
        found = read_qrels(options.qrels, queries, documents, options.least, options.skip_unknown)
        write(options.output, "".join(f"{query} {document}\n" for query, document in found.pairs), options.overwrite)
    except TrimineError as e:
        fail(e.code, e.message)
    except MemoryError:
        fail(71, "not enough memory")
    except KeyboardInterrupt:
        fail(75, "stopped")
    print(f"wrote      {options.output}: {len(found.pairs)} pairs; {len({q for q, _ in found.pairs})} of {len(queries)} queries have one, "
          f"of {len(documents)} documents", file=sys.stderr)
    lower = f"{found.irrelevant} line{'s' if found.irrelevant > 1 else ''} of a relevance below {options.least:g}"
    unknown = f"{found.unknown} line{'s' if found.unknown > 1 else ''} of an id that is not there"
    left_out = ["the heading"] * found.heading + [lower] * (found.irrelevant > 0) + [unknown] * (found.unknown > 0)
    if left_out:
        print(f"left out   {' and '.join(left_out)}", file=sys.stderr)
    if found.graded:
        print(f"graded     {found.graded} pairs have a relevance above 1, and count as the others do: eval knows yes and no", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
