/* Texts of rows, as export reads them. */
#include "cli/export.h"
#include "support/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const char *write_texts(const char *text)
{
    const char *path = in_folder("texts.txt");
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fputs(text, file) < 0, false);
    assert_int_equal(fclose(file), 0);
    return path;
}

/* text: with three lines, "one", nothing and "three". */
static void check_lines(const char *text)
{
    static const char *const lines[] = {"one\n", "\n", "three", NULL};
    char path[300];
    const char *line;
    int64_t length;
    trm_texts texts;
    trm_error err = TRM_ERROR_INIT;
    snprintf(path, sizeof path, "%s", write_texts(text));
    assert_int_equal(trm_texts_open(path, 3, &texts, &err), TRM_OK);
    for (int row = 2; row >= 0; row--) {
        assert_int_equal(trm_texts_line(&texts, row, &line, &length, &err), TRM_OK);
        assert_int_equal(length, strlen(lines[row]));
        assert_memory_equal(line, lines[row], strlen(lines[row]));
    }
    assert_int_equal(trm_texts_check_unchanged(&texts, &err), TRM_OK);
    trm_texts_close(&texts);
}

static void each_line_is_the_text_of_its_row(void **state)
{
    (void)state;
    check_lines("one\n\nthree");
}

static void the_mark_that_windows_begins_a_text_with_is_no_part_of_it(void **state)
{
    (void)state;
    check_lines("\xEF\xBB\xBF"
                "one\n\nthree");
}

static void a_file_that_is_cut_while_it_is_read_is_an_error_and_no_signal(void **state)
{
    char path[300];
    const char *line;
    int64_t length;
    trm_texts texts;
    trm_error err = TRM_ERROR_INIT;
    (void)state;
    snprintf(path, sizeof path, "%s", write_texts("one\ntwo\nthree\n"));
    assert_int_equal(trm_texts_open(path, 3, &texts, &err), TRM_OK);
    assert_int_equal(truncate(path, 5), 0);
    assert_int_equal(trm_texts_line(&texts, 0, &line, &length, &err), TRM_OK);
    assert_int_equal(trm_texts_line(&texts, 1, &line, &length, &err), TRM_ERR_DATA);
    assert_non_null(strstr(err.text, "texts.txt': the file was changed while it was read"));
    assert_int_equal(trm_texts_check_unchanged(&texts, &err), TRM_ERR_DATA);
    trm_texts_close(&texts);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_line_is_the_text_of_its_row),
        cmocka_unit_test(the_mark_that_windows_begins_a_text_with_is_no_part_of_it),
        cmocka_unit_test(a_file_that_is_cut_while_it_is_read_is_an_error_and_no_signal),
    };
    start_mpi(&argc, &argv, 60);
    const int failed = cmocka_run_group_tests(tests, make_folder, remove_folder);
    MPI_Finalize();
    return failed;
}
