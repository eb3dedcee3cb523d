/* When a job says how far it is, and what. */
#include "cli/cli.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Calls once a tenth of a second; the moments of the lines, "5 15 60". */
static void off_a_terminal_lines_come_after_5_15_and_60_seconds_then_each_minute(void **state)
{
    trm_progress progress = {.start = 1000.0, .next = 5.0};
    char text[TRM_PROGRESS_TEXT], moments[100] = "";
    (void)state;
    for (int tenth = 0; tenth < 2500; tenth++) {
        const char *phase = tenth < 70 ? "positives" : "negatives";
        if (trm_progress_text(&progress, 1000.0 + tenth / 10.0, phase, tenth / 5000.0, 0.0, text)[0] != '\0')
            snprintf(moments + strlen(moments), sizeof moments - strlen(moments), " %g", tenth / 10.0);
    }
    assert_string_equal(moments, " 5 15 60 120 180 240");
}

static void a_line_has_rate_and_time_left(void **state)
{
    trm_progress progress = {.start = 1000.0, .next = 5.0};
    char text[TRM_PROGRESS_TEXT];
    (void)state;
    assert_string_equal(trm_progress_text(&progress, 1000.0, "negatives", 0.0, 0.0, text), "");
    assert_string_equal(trm_progress_text(&progress, 1030.0, "negatives", 0.25, 0.0, text),
                        "trimine: negatives 25.0 %, 30 s, 50 % a minute, 90 s left");
    progress = (trm_progress){.start = 1000.0, .next = 5.0};
    trm_progress_text(&progress, 1004.9, "panel 9 of 10, negatives", 0.0, 0.0, text);
    assert_string_equal(trm_progress_text(&progress, 1005.0, "panel 9 of 10, negatives", 0.5, 0.0, text),
                        "trimine: panel 9 of 10, negatives 50.0 %, 0 s, 30000 % a minute, 0 s left");
}

/* Half was done by an earlier run, and 5 % in 10 seconds by this: 45 % are left, which take 90. */
static void after_a_resume_only_what_this_run_did_counts(void **state)
{
    trm_progress progress = {.start = 1000.0, .next = 5.0};
    char text[TRM_PROGRESS_TEXT];
    (void)state;
    trm_progress_text(&progress, 1000.0, "negatives", 0.0, 0.0, text);
    assert_string_equal(trm_progress_text(&progress, 1010.0, "negatives", 0.55, 0.5, text),
                        "trimine: negatives 55.0 %, 10 s, 30 % a minute, 90 s left");
    progress = (trm_progress){.start = 1000.0, .next = 5.0};
    assert_string_equal(trm_progress_text(&progress, 1010.0, "negatives", 0.5, 0.5, text),
                        "trimine: negatives 50.0 %, 0 s");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(off_a_terminal_lines_come_after_5_15_and_60_seconds_then_each_minute),
        cmocka_unit_test(a_line_has_rate_and_time_left),
        cmocka_unit_test(after_a_resume_only_what_this_run_did_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
