"""python3 -m trimine import OUT.h5 FILE.parquet...: what the program leaves to Python, from the shell."""
import os
import sys

from .errors import TrimineError
from .report import Parser, fail
from .store import write_table


def parse(arguments):
    parser = Parser(prog="python3 -m trimine", allow_abbrev=False)
    commands = parser.add_subparsers(metavar="import", required=True)
    about = "Writes an HDF5 store of Parquet files (needs pyarrow). The program's import takes the other formats."
    sub = commands.add_parser("import", allow_abbrev=False, help=about, description=about)
    sub.add_argument("output", metavar="OUT")
    sub.add_argument("files", nargs="+", metavar="FILE", help="or a folder of them")
    sub.add_argument("--column", metavar="NAME", help="of embeddings, lists of numbers (default: the only such column)")
    sub.add_argument("--labels", metavar="NAME", help="the column of labels (default: none)")
    sub.add_argument("--ids", metavar="NAME", help="the column of ids (default: none)")
    sub.add_argument("--overwrite", action="store_true", help="replace OUT where it exists")
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments and arguments[0] != "import" and not arguments[0].startswith("-"):
        there = "a module of its own does that: python3 -m trimine." if arguments[0] == "qrels" else "what else there is the program does: trimine "
        fail(64, f"'{arguments[0]}': here is only import, of Parquet files; {there}{' '.join(arguments)}")
    return parser.parse_args(arguments)


def main(arguments=None):
    options = parse(arguments)
    if os.path.lexists(options.output) and not options.overwrite:
        fail(73, f"'{options.output}' exists; give --overwrite to replace it")
    try:
        table = write_table(options.output, options.files, options.column, options.labels, options.ids, options.overwrite)
    except TrimineError as error:
        fail(error.code, error.message)
    except ImportError as error:
        fail(69, str(error))
    except MemoryError:
        fail(71, "not enough memory")
    except KeyboardInterrupt:
        fail(75, "stopped")
    print(f"wrote      {options.output}: {table.rows} rows x {table.dim} with{'' if options.labels else 'out'} labels", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
