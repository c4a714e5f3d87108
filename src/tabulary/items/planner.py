"""Making plans: field lists become outputs, ``deep`` becomes child nodes, permissions become rules and masks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from tabulary.access.permissions import PermissionSet
from tabulary.core.errors import Forbidden, InvalidQuery
from tabulary.items.chosen import chosen_fields, chosen_outputs
from tabulary.items.conditions import ALWAYS, Condition, Resolver, field_reason
from tabulary.items.grouping import plan_grouping
from tabulary.items.guards import Guards
from tabulary.items.paths import FUNCTION_TYPES, function_of, json_steps, result_key, split_path
from tabulary.items.plan import Count, JsonValue, Member, Node, Order, Output, Part, Plain, ToAny, ToMany, ToOne
from tabulary.items.pruning import pruned
from tabulary.items.query import Level
from tabulary.schema.overview import Collection, Field, Relation, Schema

MAX_NODES = 1_000
"""A plan with more nodes is refused: wildcards over circular relations grow exponentially."""
_SEARCH_TEXT = frozenset({"string", "text"})
_SEARCH_NUMBER = frozenset({"integer", "bigInteger", "decimal", "float"})

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Limits:
    """What the settings say of plans."""

    default_limit: int = 100
    json_depth: int = 10


@dataclass
class _Wanted:
    """What a level asks of one relation: field paths for every target, and by target (``item:scope.path``)."""

    everywhere: list[str] = field(default_factory=list)
    scoped: dict[str, list[str]] = field(default_factory=dict)


class Planner:
    """Plans for one schema and one caller's permissions."""

    def __init__(self, schema: Schema, permissions: PermissionSet, limits: Limits, backlink: bool = True) -> None:
        self.schema, self.limits, self.backlink = schema, limits, backlink
        self.guards = None if permissions.unrestricted else Guards(schema, permissions)
        self.resolver = Resolver(schema, self.guards)
        self.nodes = 0

    def root(self, collection: str, level: Level) -> Node:
        """The plan of a query. Raises :class:`Forbidden` and :class:`InvalidQuery`."""
        base = self.resolver.collection(collection, ())
        if level.aggregate or level.group:
            return self._grouped(base, level)
        node = self.node(base, level, level.fields or ("*",), (), None)
        return replace(node, offset=0, late_offset=level.offset > 0)

    def _grouped(self, base: Collection, level: Level) -> Node:
        grouping = plan_grouping(self.resolver, base, level)
        names = {t.field.field for _, t in grouping.groups} | {
            a.target.field.field for a in grouping.aggregates if a.target
        }
        node = self._selection(Node(base), base, level, names, ())
        return pruned(replace(node, grouping=grouping, offset=0, late_offset=level.offset > 0))

    # --- one level --------------------------------------------------------------------------
    def node(
        self,
        base: Collection,
        level: Level,
        names: Sequence[str],
        path: Path,
        came_by: Relation | None,
        sort_field: str | None = None,
    ) -> Node:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise InvalidQuery(
                f"The query would load more than {MAX_NODES} relations; name the fields instead of using wildcards"
            )
        if level.select is not None:
            outputs, requested = chosen_outputs(self, base, level.select, level, path), chosen_fields(level.select)
        else:
            outputs, requested = self._named_outputs(base, level, names, path, came_by)
        node = self._selection(Node(base, tuple(outputs)), base, level, requested, path)
        order = self._order(base, level, path, sort_field)
        return pruned(replace(node, order=order, limit=level.limit, offset=level.offset))

    def _named_outputs(
        self, base: Collection, level: Level, names: Sequence[str], path: Path, came_by: Relation | None
    ) -> tuple[list[Output], set[str]]:
        """Outputs of a field list, and the fields that they take values of."""
        aliases = dict(level.alias)
        plain, related = self._split(base, self._expand(base, names, aliases, came_by), aliases, path)
        outputs = [self._plain(base, key, name, path) for key, name in plain.items()]
        for key, wanted in related.items():
            outputs.append(self._related(base, key, aliases.get(key, key), wanted, level, path))
        return outputs, {self._field_name(name) for name in plain.values()} | {aliases.get(key, key) for key in related}

    def _selection(self, node: Node, base: Collection, level: Level, requested: Iterable[str], path: Path) -> Node:
        """Filter, search and item rule of a level."""
        filter_ = self.resolver._condition(level.filter, base, path)
        return replace(
            node,
            filter=None if filter_ == ALWAYS else filter_,
            rows=self.guards.rows(base.collection, set(requested)) if self.guards else None,
            search=level.search,
            searchable=self._searchable(base, level) if level.search else (),
            limit=level.limit,
            offset=level.offset,
        )

    def key_node(self, base: Collection, level: Level, path: Path, sort_field: str | None) -> Node:
        """A level that nobody asked fields of: bare primary keys."""
        return self.node(base, level, (base.primary,), path, None, sort_field)

    # --- names to outputs -------------------------------------------------------------------
    def _expand(
        self, base: Collection, names: Sequence[str], aliases: dict[str, str], came_by: Relation | None
    ) -> list[str]:
        """Wildcards written out."""
        found: list[str] = []
        for name in names:
            if name == "*":
                found += [f.field for f in self._readable_fields(base)]
                found += [key for key, target in aliases.items() if self._may_read(base, self._field_name(target))]
            elif name.startswith("*."):
                found += self._expand_relations(base, name[2:], came_by)
            else:
                found.append(name)
        return list(dict.fromkeys(found))

    def _expand_relations(self, base: Collection, rest: str, came_by: Relation | None) -> list[str]:
        found = []
        for entry in self._readable_fields(base):
            relation = self.schema.relation(base.collection, entry.field)
            back = not self.backlink and relation is not None and relation[1] is came_by
            found.append(entry.field if relation is None or back else f"{entry.field}.{rest}")
        return found

    def _readable_fields(self, base: Collection) -> list[Field]:
        found = []
        for entry in base.fields.values():
            if not self._may_read(base, entry.field):
                continue
            if entry.alias:
                relation = self.schema.relation(base.collection, entry.field)
                if relation is None or (self.guards and not self.guards.readable(relation[1].collection)):
                    continue
            found.append(entry)
        if (guards := self.guards) is not None:
            found.sort(key=lambda entry: guards.place(base.collection, entry.field))
        return found

    def _may_read(self, base: Collection, name: str) -> bool:
        return name in base.fields and (self.guards is None or self.guards.grants(base.collection, name))

    @staticmethod
    def _field_name(name: str) -> str:
        return name.partition("(")[2].split(",")[0].rstrip(")").strip() if "(" in name else name

    def _split(
        self, base: Collection, names: list[str], aliases: dict[str, str], path: Path
    ) -> tuple[dict[str, str], dict[str, _Wanted]]:
        """Plain outputs (key → name) and relations (key → what is wanted of them), each in order of first mention."""
        plain: dict[str, str] = {}
        related: dict[str, _Wanted] = {}
        missing: list[str] = []
        for name in names:
            first, *rest = split_path(name)
            key, _, scope = first.partition(":") if "(" not in first else (first, "", "")
            target = aliases.get(key, key)
            field_name = self._field_name(target)
            relation = None if "(" in target else self.schema.relation(base.collection, target)
            kind = relation[0] if relation else None
            expands = (
                kind == "o2m"
                or (rest and (kind == "a2o" or (kind == "m2o" and not scope)))
                or (kind == "a2o" and scope)
            )
            if expands and relation is not None and not self._reaches(relation):
                continue
            if not self._may_read(base, field_name):
                missing.append(field_name)
                continue
            if expands:
                wanted = related.setdefault(key, _Wanted())
                entries = wanted.scoped.setdefault(scope, []) if scope else wanted.everywhere
                if rest:
                    entries.append(".".join(rest))
            elif "(" in target:
                plain.setdefault(self._function_key(key, target, aliases), target)
            elif base.fields[field_name].alias or (rest and relation is None):
                continue
            else:
                plain.setdefault(key, target)
        if missing:
            raise Forbidden(field_reason(base.collection, missing, path))
        return {k: v for k, v in plain.items() if k not in related}, related

    def _reaches(self, relation: tuple[str, Relation]) -> bool:
        """True when the caller may read the other side; what lies there is otherwise left out without a word."""
        kind, link = relation
        if self.guards is None:
            return True
        if kind == "a2o":
            return any(self.guards.readable(name) for name in link.allowed_collections)
        return self.guards.readable(link.collection if kind == "o2m" else str(link.related_collection))

    @staticmethod
    def _function_key(key: str, target: str, aliases: dict[str, str]) -> str:
        if key in aliases:
            return key
        function, name, arguments = function_of(target)
        return result_key(str(function), name, arguments)

    def _plain(self, base: Collection, key: str, name: str, path: Path) -> Output:
        function, field_name, arguments = function_of(name)
        entry = base.fields[field_name]
        mask = self.guards.mask(base.collection, field_name) if self.guards else None
        if function is None:
            return Output(key, Plain(entry), mask)
        return Output(key, self.function(base, entry, function, arguments, path), mask)

    def function(self, base: Collection, entry: Field, function: str, arguments: str, path: Path) -> Member:
        """``function(entry, arguments)``. Raises :class:`InvalidQuery` for what the field's type does not take."""
        if function == "json":
            if entry.type != "json" or entry.concealed:
                raise InvalidQuery(f'"json" does not take "{entry.field}", a field of type "{entry.type}"')
            return JsonValue(entry, json_steps(arguments, self.limits.json_depth))
        if function not in FUNCTION_TYPES or arguments:
            raise InvalidQuery(f'There is no function "{function}"')
        relation = self.schema.relation(base.collection, entry.field)
        if function == "count" and relation is not None and relation[0] == "o2m":
            return Count(self.resolver._step(base, entry.field, (*path, entry.field)))
        if entry.type not in FUNCTION_TYPES[function] or entry.concealed:
            raise InvalidQuery(f'"{function}" does not take "{entry.field}", a field of type "{entry.type}"')
        return Part(entry, function)

    # --- relations --------------------------------------------------------------------------
    def _related(self, base: Collection, key: str, name: str, wanted: _Wanted, level: Level, path: Path) -> Output:
        found = self.schema.relation(base.collection, name)
        assert found is not None
        kind, relation = found
        mask = self.guards.mask(base.collection, name) if self.guards else None
        place = (*path, key)
        if kind == "a2o":
            return Output(key, self._to_any(relation, key, wanted, level, place), mask)
        child = self.schema.collections[relation.collection if kind == "o2m" else str(relation.related_collection)]
        below = level.of_relation(key) or Level(limit=self.limits.default_limit)
        if kind == "m2o":
            node = self.node(child, replace(below, limit=None, offset=0), wanted.everywhere, place, relation)
            return Output(key, ToOne(relation, node), mask)
        if wanted.everywhere:
            node = self.node(child, below, wanted.everywhere, place, relation, relation.sort_field)
        else:
            self.resolver.field(child, child.primary, place)
            node = self.key_node(child, below, place, relation.sort_field)
        return Output(key, ToMany(relation, node, keys=not wanted.everywhere), mask)

    def _to_any(self, relation: Relation, key: str, wanted: _Wanted, level: Level, path: Path) -> ToAny:
        nodes = []
        for name in relation.allowed_collections:
            child = self.schema.collections.get(name)
            if child is None or (self.guards and not self.guards.readable(name)):
                continue
            names = [*wanted.everywhere, *wanted.scoped.get(name, ())]
            below = replace(level.of_relation(f"{key}:{name}") or Level(), limit=None, offset=0)
            if not names and not self._may_read(child, child.primary):
                continue
            nodes.append(
                (
                    name,
                    self.node(child, below, names or (child.primary,), (*path[:-1], f"{key}:{name}"), relation),
                    not names,
                )
            )
        return ToAny(relation, tuple(nodes))

    # --- order and search -------------------------------------------------------------------
    def _order(self, base: Collection, level: Level, path: Path, sort_field: str | None) -> tuple[Order, ...]:
        if level.sort:
            return tuple(self._order_entry(base, entry, path) for entry in level.sort)
        default = next((n for n in (sort_field, base.sort_field, base.primary) if n and n in base.fields), base.primary)
        if self.guards and not self.guards.grants(base.collection, default):
            granted = self.guards.granted(base.collection)
            default = next((f.field for f in base.fields.values() if f.field in granted and not f.alias), "")
        return (Order(self.resolver.target((default,), base, path), False),) if default else ()

    def _order_entry(self, base: Collection, entry: str, path: Path) -> Order:
        name = entry.removeprefix("-")
        return Order(self.resolver.target(split_path(name), base, path), entry.startswith("-"))

    def _searchable(self, base: Collection, level: Level) -> tuple[tuple[Field, Condition | None], ...]:
        found: list[tuple[Field, Condition | None]] = []
        for entry in base.fields.values():
            if entry.alias or not entry.searchable or entry.concealed or not self._may_read(base, entry.field):
                continue
            if entry.type in _SEARCH_TEXT or (level.search and _takes_term(entry, level)):
                found.append((entry, self.guards.mask(base.collection, entry.field) if self.guards else None))
        return tuple(found)


def _takes_term(entry: Field, level: Level) -> bool:
    """Whether a search term can be compared with a column that is no text (spec §3.4)."""
    search = level.search
    assert search is not None
    if entry.type == "uuid":
        return search.uuid
    if entry.type not in _SEARCH_NUMBER or search.digits is None:
        return False
    before, after = search.digits
    if entry.type in ("integer", "bigInteger"):
        return not after and search.bits <= (32 if entry.type == "integer" else 64)
    if entry.type == "decimal":
        precision, scale = entry.precision or 10, entry.scale if entry.scale is not None else 5
        return before <= precision - scale and after <= scale
    return True
