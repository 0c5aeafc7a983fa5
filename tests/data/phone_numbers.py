#!/usr/bin/env python3
"""Generates phone_numbers.csv: example numbers of every region, as the Python port of libphonenumber formats and
parses them.

    python3 -m venv venv && venv/bin/pip install phonenumbers==9.0.43
    venv/bin/python tests/data/phone_numbers.py > tests/data/phone_numbers.csv
"""

import csv
import sys

import phonenumbers as lib
from phonenumbers import PhoneNumberFormat as Format
from phonenumbers import PhoneNumberType as Type

TYPES = {"MOBILE": Type.MOBILE, "FIXED_LINE": Type.FIXED_LINE, "TOLL_FREE": Type.TOLL_FREE}
COLUMNS = ["region", "type", "e164", "international", "national", "rfc3966"]


def row(region, kind, number):
    formatted = {form: lib.format_number(number, getattr(Format, form)) for form in
               ("E164", "INTERNATIONAL", "NATIONAL", "RFC3966")}
    national = formatted["NATIONAL"]
    if region == "001" or lib.parse(national, region) != number:
        national = ""
    return [region, kind, formatted["E164"], formatted["INTERNATIONAL"], national, formatted["RFC3966"]]


def rows():
    for region in sorted(lib.SUPPORTED_REGIONS):
        for kind, number_type in TYPES.items():
            number = lib.example_number_for_type(region, number_type)
            if number is not None and lib.is_valid_number(number):
                yield row(region, kind, number)
    for code in sorted(lib.COUNTRY_CODES_FOR_NON_GEO_REGIONS):
        number = lib.example_number_for_non_geo_entity(code)
        if number is not None and lib.is_valid_number(number):
            yield row("001", "ANY", number)


def main():
    table = csv.writer(sys.stdout, lineterminator="\n")
    table.writerow(COLUMNS)
    table.writerows(rows())


main()
