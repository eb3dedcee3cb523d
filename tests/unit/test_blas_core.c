/* A kind of CPU that OpenBLAS is told to compute for, and that this one is not. */
#include "kernel/blas_core.h"
#include "metric/isa.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void what_OpenBLAS_finds_itself_is_fine(void **state)
{
    trm_error err = TRM_ERROR_INIT;
    (void)state;
    assert_int_equal(trm_blas_check_core(&err), TRM_OK);
    assert_int_equal(trm_blas_check_core_name(NULL, &err), TRM_OK);
    assert_int_equal(trm_blas_check_core_name("Prescott", &err), TRM_OK);
    assert_int_equal(trm_blas_check_core_name("of next year", &err), TRM_OK);
}

/* No CPU is all of these. */
static void a_kind_that_this_CPU_is_not_is_refused(void **state)
{
    static const char *const cores[] = {"SKYLAKEX", "Haswell", "Piledriver", "Opteron"};
    int refused = 0;
    (void)state;
    for (size_t i = 0; i < sizeof cores / sizeof *cores; i++) {
        trm_error err = TRM_ERROR_INIT;
        if (trm_blas_check_core_name(cores[i], &err) == TRM_OK)
            continue;
        refused++;
        assert_int_equal(err.status, TRM_ERR_ENVIRONMENT);
        assert_non_null(strstr(err.text, cores[i]));
        assert_non_null(strstr(err.text, "--kernel fp32"));
    }
    assert_true(refused > 0 || !TRM_HAVE_X86);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_OpenBLAS_finds_itself_is_fine),
        cmocka_unit_test(a_kind_that_this_CPU_is_not_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
