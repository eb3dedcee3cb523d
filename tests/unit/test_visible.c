/* What a terminal may show of a name, and what becomes of the rest. */
#include "base/visible.h"

#include "base/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

static void control_characters_become_their_codes(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"plain.h5", "plain.h5"},
        {"", ""},
        {"a\x1b[31mb", "a\\x1b[31mb"},
        {"two\nlines\r\t", "two\\x0alines\\x0d\\x09"},
        {"bell\a delete\x7f", "bell\\x07 delete\\x7f"},
        {"gr\xc3\xbc\xc3\x9f \xe7\x8c\xab \xf0\x9f\x98\x80",
         "gr\xc3\xbc\xc3\x9f \xe7\x8c\xab \xf0\x9f\x98\x80"},
        {"\xc2\x9b"
         "31m",
         "\\xc2\\x9b31m"}, /* U+009B begins a sequence, too */
        {"\x9b"
         "31m",
         "\\x9b31m"}, /* the same byte alone */
        {"a\xe2\x80\xae"
         "b",
         "a\\xe2\\x80\\xaeb"},               /* U+202E turns the rest of the line around */
        {"\xe2\x80\xa8", "\\xe2\\x80\\xa8"}, /* U+2028 ends a line */
        {"latin \xfc", "latin \\xfc"},
        {"cut \xe7\x8c", "cut \\xe7\\x8c"},
        {"long form \xc0\xaf", "long form \\xc0\\xaf"},
        {"surrogate \xed\xa0\x80", "surrogate \\xed\\xa0\\x80"},
        {"beyond \xf4\x90\x80\x80", "beyond \\xf4\\x90\\x80\\x80"},
        {"C:\\x1b", "C:\\x1b"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char shown[128];
        trm_visible(cases[i][0], shown, sizeof shown);
        assert_string_equal(shown, cases[i][1]);
        char again[128];
        trm_visible(shown, again, sizeof again);
        assert_string_equal(again, shown);
    }
}

static void a_text_is_cut_between_characters(void **state)
{
    (void)state;
    char shown[6];
    trm_visible("abc\x1b", shown, sizeof shown);
    assert_string_equal(shown, "abc");
    trm_visible("abcd\xc3\xbc", shown, sizeof shown);
    assert_string_equal(shown, "abcd");
    trm_visible("abc\xc3\xbc", shown, sizeof shown);
    assert_string_equal(shown, "abc\xc3\xbc");
    trm_visible("abc", shown, 1);
    assert_string_equal(shown, "");
}

static void an_error_is_one_line_whatever_a_name_holds(void **state)
{
    (void)state;
    trm_error err = TRM_ERROR_INIT;
    assert_int_equal(trm_fail(&err, TRM_ERR_DATA, "store '%s': no", "a\nb\x1b]0;title\a.h5"), TRM_ERR_DATA);
    assert_string_equal(err.text, "store 'a\\x0ab\\x1b]0;title\\x07.h5': no");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(control_characters_become_their_codes),
        cmocka_unit_test(a_text_is_cut_between_characters),
        cmocka_unit_test(an_error_is_one_line_whatever_a_name_holds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
