/* A set of names: each once, whatever its bytes, numbered in the order of their bytes. */
#include "base/names.h"
#include "support/random_store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void add(trm_names *names, const char *name, int64_t length)
{
    assert_int_equal(trm_names_add(names, name, length, NULL), TRM_OK);
}

static void an_empty_set_knows_nothing(void **state)
{
    (void)state;
    trm_names names = TRM_NAMES_INIT;
    assert_int_equal(trm_names_find(&names, "a", 1), -1);
    assert_int_equal(trm_names_sort(&names, NULL), TRM_OK);
    assert_int_equal(names.count, 0);
    assert_int_equal(trm_names_find(&names, "", 0), -1);
    trm_names_free(&names);
}

static void names_are_sorted_by_their_bytes(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int64_t length;
    } sorted[] = {{"", 0},
                  {"\0", 1},
                  {"\0a", 2},
                  {"A", 1},
                  {"a", 1},
                  {"a\0", 2},
                  {"a\0b", 3},
                  {"a ", 2},
                  {"aa", 2},
                  {"ab", 2},
                  {"b", 1},
                  {"z", 1},
                  {"\xc3\xa9t\xc3\xa9", 5},
                  {"\xff\xfe", 2}};
    enum { COUNT = sizeof sorted / sizeof *sorted };
    trm_names names = TRM_NAMES_INIT;
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < COUNT; i++) {
            const int k = i * 5 % COUNT; /* another order, and each twice */
            add(&names, sorted[k].name, sorted[k].length);
        }
    assert_int_equal(names.count, COUNT);
    assert_int_equal(trm_names_sort(&names, NULL), TRM_OK);
    for (int i = 0; i < COUNT; i++) {
        int64_t length = -1;
        const char *name = trm_names_get(&names, i, &length);
        assert_int_equal(length, sorted[i].length);
        assert_memory_equal(name, sorted[i].name, (size_t)length + 1);
        assert_int_equal(trm_names_find(&names, sorted[i].name, sorted[i].length), i);
    }
    assert_int_equal(trm_names_find(&names, "aaa", 3), -1);
    add(&names, "new", 3); /* sorted or not, more may come */
    assert_int_equal(trm_names_find(&names, "new", 3), COUNT);
    trm_names_free(&names);
}

static void many_names_are_each_kept_once(void **state)
{
    (void)state;
    enum { COUNT = 20000 };
    trm_names names = TRM_NAMES_INIT;
    test_random random = {5};
    char text[32];
    for (int i = 0; i < 3 * COUNT; i++) {
        const int k = i < COUNT ? i : (int)test_random_below(&random, COUNT);
        add(&names, text, snprintf(text, sizeof text, "%d", k));
    }
    assert_int_equal(names.count, COUNT);
    assert_int_equal(trm_names_sort(&names, NULL), TRM_OK);
    for (int i = 1; i < COUNT; i++)
        assert_true(strcmp(trm_names_get(&names, i - 1, NULL), trm_names_get(&names, i, NULL)) < 0);
    for (int i = 0; i < COUNT; i++)
        assert_true(trm_names_find(&names, text, snprintf(text, sizeof text, "%d", i)) >= 0);
    trm_names_free(&names);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_set_knows_nothing),
        cmocka_unit_test(names_are_sorted_by_their_bytes),
        cmocka_unit_test(many_names_are_each_kept_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
