/* Numbers as they would be typed: short, and the same number when they are read. */
#include "base/number.h"

#include "base/random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void short_as_typed(void **state)
{
    (void)state;
    static const char *const typed[] = {"0.3",    "0.1",      "1",      "0",        "-0.25",   "100000",
                                        "0.0001", "0.00001",  "1e-6",   "1e100",    "1e16",    "1e15",
                                        "1e9",    "2.5e6",    "123456", "0.007",    "1234.56", "-1e22",
                                        "2.5e-9", "0.123456", "5e-324", "16777217", "inf"};
    char text[TRM_NUMBER_TEXT];
    for (size_t i = 0; i < sizeof typed / sizeof *typed; i++)
        assert_string_equal(trm_number_text(strtod(typed[i], NULL), text), typed[i]);
    assert_string_equal(trm_number_text(NAN, text) + (text[0] == '-'), "nan");
}

static void all_read_back(void **state)
{
    (void)state;
    char text[TRM_NUMBER_TEXT];
    for (uint64_t i = 0; i < 200000; i++) {
        uint32_t word[4];
        uint64_t bits;
        double value;
        trm_random_bits(7, 0, i, word);
        memcpy(&bits, word, sizeof bits);
        memcpy(&value, word, sizeof value);
        value = i % 2 == 0 ? value : (double)(int64_t)bits * 0x1p-60;
        if (!isfinite(value))
            continue;
        assert_true(strtod(trm_number_text(value, text), NULL) == value);
        assert_true(strlen(text) < TRM_NUMBER_TEXT - 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(short_as_typed),
        cmocka_unit_test(all_read_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
