"""The package's keywords are the program's options."""
import importlib.machinery
import importlib.util
import inspect
import json
import os
import subprocess
import unittest

import support

import trimine


def script():
    path = os.path.join(support.ROOT, "scripts", "python_options")
    loader = importlib.machinery.SourceFileLoader("python_options", path)
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("python_options", loader))
    loader.exec_module(module)
    return module


class Options(unittest.TestCase):
    def test_the_module_is_what_the_program_says(self):
        writer = script()
        with open(writer.TARGET, encoding="utf-8") as f:
            self.assertEqual(f.read(), writer.module(os.environ["TRIMINE"]), "run scripts/python_options")

    def test_usual_names_of_datasets(self):
        from trimine import rows
        said = json.loads(subprocess.run([os.environ["TRIMINE"], "options", "--json"], stdout=subprocess.PIPE, check=True).stdout)
        self.assertEqual({name: list(names) for name, names in rows.DATASETS.items()}, said["datasets"])

    def test_signatures(self):
        signature = inspect.signature(trimine.mine)
        self.assertEqual(signature.parameters["ranks"].default, None)
        self.assertIn("cosine", str(signature.parameters["metric"].annotation))
        self.assertTrue(all(p.kind is p.KEYWORD_ONLY for n, p in signature.parameters.items() if n != "store"))
        for function in (trimine.mine, trimine.loss, trimine.knn, trimine.evaluate, trimine.radius):
            for name in inspect.signature(function).parameters:
                self.assertRegex(function.__doc__, rf"\b{name}(, \w+)* --|, {name} --")

    def test_losses_in_memory_have_all_of_them(self):
        """A new option of losses is one of trimine.mpi, too: a member of a struct in MEMBERS, or Settings.fill does something with it."""
        from trimine import _in_memory, _options
        self.assertEqual(sorted(_options.IN_MEMORY), sorted([*_in_memory.MEMBERS, *_in_memory.OTHERS]))
        keywords = [*_options.LossOptions.__annotations__, *_options.PackedOptions.__annotations__]
        self.assertEqual(set(keywords), set(_options.IN_MEMORY))


if __name__ == "__main__":
    support.main()
