"""Small wrong versions of a module: one comparison, one word, one number or one statement changed in each.

Our own, since the maintained tool (mutmut) leaves alone what stands outside functions, and rules 14 to 17 are a table.
"""

import ast
import copy
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
EXPLAINED = ROOT / "tests" / "mutation" / "survivors.md"
CORE = ("rules", "evaluate", "fold", "consent", "period", "processing", "article")
LEDGER = ("recorder", "statements", "ledgers")
"""What stands between an operation and the ledger, in app/operations/consents."""
MODULES = (*CORE, *LEDGER)
TOO_LONG = 160
WORDS_IN = ("article", "consent", "decision", "period", "processing")

COMPARISONS = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
ARITHMETIC = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
CALLS = {"min": "max", "max": "min", "any": "all", "all": "any", "sorted": "list", "reversed": "list"}


@dataclass(frozen=True)
class Mutant:
    """One change to one module: the nth node in walking order, replaced by one of its variants."""

    module: str
    node: int
    variant: int
    line: int
    where: str
    before: str
    after: str

    @property
    def name(self) -> str:
        """What it is called in tests/mutation/survivors.md: it does not move when lines do."""
        return f"{self.module} {self.where}: `{self.before}` -> `{self.after}`"


def explained_survivors() -> set[str]:
    """The names of the mutants that survivors.md explains: its list items, each followed by its reason."""
    lines = EXPLAINED.read_text().splitlines()
    return {line.removeprefix("- ") for line in lines if line.startswith("- ") and "->" in line}


def dotted(module: str) -> str:
    """The name by which a module is imported."""
    return f"app.core.{module}" if module in CORE else f"app.operations.consents.{module}"


def source_of(module: str) -> Path:
    """The file of a module."""
    return ROOT / f"{dotted(module).replace('.', '/')}.py"


def mutants_of(module: str) -> list[Mutant]:
    """Every mutant of a module, in the order of its source."""
    tree = ast.parse(source_of(module).read_text())
    places = _places(tree)
    parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    mutants = []
    for index, node in enumerate(ast.walk(tree)):
        if node not in places:
            continue
        # A word or number alone says too little: show it in what it stands in, unless that is a whole table.
        small = isinstance(node, ast.Constant | ast.Attribute) and len(_shown(parents[node])) < TOO_LONG
        shown = parents[node] if small else node
        for number, variant in enumerate(_variants(node)):
            after = _swapped(shown, node, variant)
            line = getattr(node, "lineno", getattr(parents.get(node), "lineno", 0))
            mutants.append(Mutant(module, index, number, line, places[node], _shown(shown), _shown(after)))
    return sorted(mutants, key=lambda each: (each.line, each.node, each.variant))


def mutated_tree(mutant: Mutant) -> ast.Module:
    """The module's tree with the change made."""
    tree = ast.parse(source_of(mutant.module).read_text())
    target = list(ast.walk(tree))[mutant.node]
    changed = _swapped(tree, target, list(_variants(target))[mutant.variant])
    assert isinstance(changed, ast.Module)
    return ast.fix_missing_locations(changed)


def statement_lines(mutant: Mutant) -> range | None:
    """The lines of the statement that a mutant changes; None outside functions, where an import runs it."""
    inside = None

    def visit(node: ast.AST, within: bool) -> None:
        nonlocal inside
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.ExceptHandler | ast.match_case):
                visit(child, within)
            elif isinstance(child, ast.stmt) and child.lineno <= mutant.line <= (child.end_lineno or child.lineno):
                body = getattr(child, "body", None)
                last = body[0].lineno - 1 if body else child.end_lineno or child.lineno
                runs = within and not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
                inside = range(child.lineno, max(last, child.lineno) + 1) if runs else None
                visit(child, within or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef))

    visit(ast.parse(source_of(mutant.module).read_text()), within=False)
    return inside


def _swapped(tree: ast.AST, target: ast.AST, variant: ast.AST) -> ast.AST:
    """A copy of a tree with one node of it replaced."""
    if tree is target:
        return variant
    made = copy.copy(tree)
    for name, value in ast.iter_fields(tree):
        if isinstance(value, list):
            each = [_swapped(item, target, variant) if isinstance(item, ast.AST) else item for item in value]
            setattr(made, name, each)
        elif isinstance(value, ast.AST):
            setattr(made, name, _swapped(value, target, variant))
    return made


def _places(tree: ast.Module) -> dict[ast.AST, str]:
    """The nodes that may be changed, with the name of what they stand in; no annotation, decorator or import."""
    places: dict[ast.AST, str] = {}

    def visit(node: ast.AST, where: str) -> None:
        if isinstance(node, ast.Import | ast.ImportFrom):
            return
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            where = f"{where}.{node.name}" if where != "module" else node.name
        places[node] = where
        for name, value in ast.iter_fields(node):
            if name in {"annotation", "returns", "decorator_list"}:
                continue
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    visit(child, where)

    visit(tree, "module")
    return places


def _variants(node: ast.AST) -> Iterator[ast.AST]:
    maker = _MAKERS.get(type(node))
    if maker is not None:
        yield from maker(node)


def _compare(node):
    for operator in COMPARISONS.get(type(node.ops[0]), ()):
        yield _changed(node, ops=[operator(), *node.ops[1:]])


def _bool_op(node):
    yield _changed(node, op=ast.And() if isinstance(node.op, ast.Or) else ast.Or())
    for index in range(len(node.values)):
        kept = [value for at, value in enumerate(node.values) if at != index]
        yield kept[0] if len(kept) == 1 else _changed(node, values=kept)


def _unary_op(node):
    if isinstance(node.op, ast.Not):
        yield node.operand


def _bin_op(node):
    if type(node.op) in ARITHMETIC:
        yield _changed(node, op=ARITHMETIC[type(node.op)]())


def _constant(node):
    if isinstance(node.value, bool):
        yield ast.Constant(not node.value)
    elif isinstance(node.value, int):
        yield ast.Constant(node.value + 1)
        yield ast.Constant(node.value - 1)


def _return(node):
    if node.value is not None and not (isinstance(node.value, ast.Constant) and node.value.value is None):
        yield ast.Return(ast.Constant(None))


def _if(node):
    for value in (True, False):
        yield _changed(node, test=ast.Constant(value))


def _if_exp(node):
    yield node.body
    yield node.orelse


def _comprehension(node):
    for index in range(len(node.ifs)):
        yield _changed(node, ifs=[each for at, each in enumerate(node.ifs) if at != index])


def _call(node):
    if isinstance(node.func, ast.Name) and node.func.id in CALLS:
        yield _changed(node, func=ast.Name(CALLS[node.func.id], ast.Load()))


def _attribute(node):
    members = _words().get(node.value.id) if isinstance(node.value, ast.Name) else None
    if members and node.attr in members:
        following = members[(members.index(node.attr) + 1) % len(members)]
        yield _changed(node, attr=following)


def _nothing(_node):
    yield ast.Pass()


_MAKERS = {
    ast.Compare: _compare,
    ast.BoolOp: _bool_op,
    ast.UnaryOp: _unary_op,
    ast.BinOp: _bin_op,
    ast.Constant: _constant,
    ast.Return: _return,
    ast.If: _if,
    ast.IfExp: _if_exp,
    ast.comprehension: _comprehension,
    ast.Call: _call,
    ast.Attribute: _attribute,
    ast.AugAssign: _nothing,
    ast.Raise: _nothing,
    ast.Break: lambda _node: iter((ast.Continue(),)),
}


def _changed(node, **fields):
    made = copy.copy(node)
    for name, value in fields.items():
        setattr(made, name, value)
    return made


def _shown(node: ast.AST) -> str:
    if isinstance(node, ast.If):
        return f"if {ast.unparse(node.test)}"
    written = ast.unparse(ast.fix_missing_locations(copy.deepcopy(node)))
    return " ".join(written.split())


def _words() -> dict[str, list[str]]:
    """The members of every enum of the core, by the enum's name."""
    members = {}
    for module in WORDS_IN:
        for name, value in vars(import_module(f"app.core.{module}")).items():
            if isinstance(value, type) and issubclass(value, StrEnum) and value is not StrEnum:
                members[name] = list(value.__members__)
    return members
