"""What after_login rules need of a person by the country that the login comes from.

``[region_override.PURPOSE]`` of the chain document: lists of countries by mode, and the mode
``elsewhere``. Where the country is unknown, the strictest of them holds.

Source: https://www.iso.org/iso-3166-country-codes.html (the 249 assigned codes, and XK, which
MaxMind uses for Kosovo); the members of the EU, and of the EEA Agreement, in 2026.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cognito_rules.manifest import PURPOSES

if TYPE_CHECKING:
    from cognito_rules.chain import RequireConsent

# From the most lenient to the strictest.
MODES: tuple[RequireConsent, ...] = ("off", "opt_out", "opt_in")
ELSEWHERE = "elsewhere"

_CODES = """
    AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR
    BS BT BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ
    EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW
    GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY
    KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV
    MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY
    QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG
    TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS XK YE YT ZA
    ZM ZW
"""
COUNTRIES = frozenset(_CODES.split())
# With the parts of members that belong to the Union and have codes of their own: Åland, French
# Guiana, Guadeloupe, Martinique, Mayotte, Réunion and Saint Martin.
_EU_CODES = """
    AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK
    AX GF GP MF MQ RE YT
"""
_EU = frozenset(_EU_CODES.split())
GROUPS: Mapping[str, frozenset[str]] = {
    "EU": _EU,
    "EEA": _EU | {"IS", "LI", "NO"},
    "UK": frozenset({"GB"}),
}


@dataclass(frozen=True)
class RegionOverride:
    """What one purpose needs: a mode by country, and the one for all others."""

    modes: Mapping[str, RequireConsent]
    elsewhere: RequireConsent

    def mode_in(self, country: Any) -> RequireConsent:
        """Return the mode for a country code; the strictest where that is none."""
        if isinstance(country, str) and country in COUNTRIES:
            return self.modes.get(country, self.elsewhere)
        return max((self.elsewhere, *self.modes.values()), key=MODES.index)


class RegionReader:
    """Reads ``region_override`` of a document; ``problems`` are (sentence, path) of each."""

    def __init__(self) -> None:
        self.problems: list[tuple[str, tuple[str, ...]]] = []

    def read(self, tables: Any) -> dict[str, RegionOverride]:
        """Return the overrides by purpose, as far as they are good."""
        if not isinstance(tables, Mapping):
            self._refuse("must be tables [region_override.PURPOSE]")
            return {}
        overrides: dict[str, RegionOverride] = {}
        for purpose, table in tables.items():
            if purpose not in PURPOSES:
                self._refuse(
                    f"there is no purpose {purpose!r}: it is one of {', '.join(PURPOSES)}", purpose
                )
            elif not isinstance(table, Mapping):
                self._refuse(f"{purpose} must be a table", purpose)
            else:
                overrides[purpose] = self._override(purpose, table)
        return overrides

    def _refuse(self, sentence: str, *path: str) -> None:
        self.problems.append((sentence, path))

    def _override(self, purpose: str, table: Mapping[str, Any]) -> RegionOverride:
        modes: dict[str, RequireConsent] = {}
        for key in table:
            if key not in (*MODES, ELSEWHERE):
                self._refuse(f"{purpose}: unknown key {key!r}", purpose, key)
        for mode in MODES:
            for country in self._countries(purpose, mode, table.get(mode)):
                if modes.setdefault(country, mode) != mode:
                    self._refuse(
                        f"{purpose}: {country} is in {modes[country]} and in {mode}", purpose, mode
                    )
        elsewhere = table.get(ELSEWHERE)
        if elsewhere not in MODES:
            self._refuse(
                f"{purpose}: say what holds elsewhere, {' or '.join(MODES)}", purpose, ELSEWHERE
            )
            elsewhere = MODES[-1]
        if not modes:
            self._refuse(f"{purpose}: name countries, as in opt_in = ['EEA']", purpose)
        return RegionOverride(modes, elsewhere)

    def _countries(self, purpose: str, mode: str, names: Any) -> Iterator[str]:
        """Yield the codes that the names of one list stand for."""
        if names is None:
            return
        if not isinstance(names, list) or not names:
            self._refuse(f"{purpose}: {mode} must be a list with countries in it", purpose, mode)
            return
        for name in names:
            known = GROUPS.get(name) if isinstance(name, str) else None
            if known is None and not (isinstance(name, str) and name in COUNTRIES):
                self._refuse(
                    f"{purpose}: {name!r} is no country: write its two capital letters "
                    f"(ISO 3166), or {', '.join(GROUPS)}",
                    *(purpose, mode),
                )
                continue
            yield from sorted(known or {name})
