/* Which BLAS this is, and that it is kept to one thread a call, whatever it was set to before. */
#include "kernel/blas_threads.h"

#include <cblas.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static int ask(const char *getter)
{
    const trm_blas_function get = trm_blas_find(getter);
    return ((int (*)(void))get)();
}

static void one_thread_is_set_whatever_was_set_before(void **state)
{
    (void)state;
    const trm_blas_function set = trm_blas_find("openblas_set_num_threads");
    if (set == NULL)
        skip();
    ((void (*)(int))set)(2);
    const bool has_threads = ask("openblas_get_parallel") != 0;
    assert_int_equal(ask("openblas_get_num_threads"), has_threads ? 2 : 1);
    trm_blas_one_thread();
    assert_int_equal(ask("openblas_get_num_threads"), 1);
}

/* Also what makes the linker keep the library. */
static void a_product_is_right_afterwards(void **state)
{
    (void)state;
    const float x[2] = {3.0F, 4.0F};
    float product = 0.0F;
    trm_blas_one_thread();
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, 1, 1, 2, 1.0F, x, 2, x, 2, 0.0F, &product, 1);
    assert_true(product == 25.0F);
}

static void a_known_library_is_named(void **state)
{
    (void)state;
    char text[256] = "";
    trm_blas_describe(text, sizeof text);
    printf("%s\n", text);
    if (trm_blas_find("openblas_set_num_threads") != NULL)
        assert_non_null(strstr(text, "OpenBLAS"));
    else if (trm_blas_find("bli_thread_set_num_threads") != NULL)
        assert_non_null(strstr(text, "BLIS"));
    assert_true(strlen(text) > 3);
}

static void a_function_that_is_not_there_is_not_found(void **state)
{
    (void)state;
    assert_true(trm_blas_find("trm_no_such_function") == NULL);
}

/* The threaded OpenBLAS needs no caution; the serial one does. */
static void caution_is_for_those_that_need_it(void **state)
{
    (void)state;
    if (trm_blas_find("openblas_get_parallel") == NULL)
        skip();
    assert_null(trm_blas_caution(1));
    if (ask("openblas_get_parallel") != 0)
        assert_null(trm_blas_caution(2));
    else
        assert_non_null(strstr(trm_blas_caution(2), "one after the other"));
    trm_blas_one_thread();
    assert_true(trm_blas_takes_turns() == (ask("openblas_get_parallel") == 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_thread_is_set_whatever_was_set_before),
        cmocka_unit_test(a_product_is_right_afterwards),
        cmocka_unit_test(a_known_library_is_named),
        cmocka_unit_test(a_function_that_is_not_there_is_not_found),
        cmocka_unit_test(caution_is_for_those_that_need_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
