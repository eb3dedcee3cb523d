"""Every example of docs/PYTHON.md runs, in its order; those of two ranks under mpirun."""
import os
import re
import subprocess

import support
import test_mpi

import trimine


def examples():
    with open(os.path.join(support.ROOT, "docs/PYTHON.md"), encoding="utf-8") as f:
        return re.findall(r"^```python\n(.*?)^```$", f.read(), re.S | re.M)


class Docs(support.Case):
    def test_examples(self):
        names, ran = {}, 0
        for text in examples():
            needs = " ".join(re.findall(r"^# needs (.*)$", text, re.M)).split()
            missing = support.lacks(*needs)
            ranks = re.search(r"^# on (\d+) ranks$", text, re.M)
            if ranks:
                missing = missing or test_mpi.LACKS
            with self.subTest(text.strip().splitlines()[0]):
                if missing:
                    self.skipTest(missing)
                ran += 1
                if ranks:
                    with open("example.py", "w", encoding="utf-8") as f:
                        f.write(text)
                    support.on_ranks(int(ranks[1]), "example.py")
                else:
                    exec(compile(text, "docs/PYTHON.md", "exec"), names)  # noqa: S102: our own page
        self.assertGreaterEqual(ran, 5)

    def test_the_page_names_what_there_is(self):
        with open(os.path.join(support.ROOT, "docs/PYTHON.md"), encoding="utf-8") as f:
            page = f.read()
        for name in trimine.__all__:
            self.assertIn(name, page)

    def test_version_is_the_programs(self):
        said = subprocess.run([os.environ["TRIMINE"], "--version"], stdout=subprocess.PIPE, text=True).stdout
        self.assertIn(trimine.__version__, said)
        with open(os.path.join(support.ROOT, "python/pyproject.toml"), encoding="utf-8") as f:
            self.assertIn(f'version = "{trimine.__version__}"', f.read())


if __name__ == "__main__":
    support.main()
