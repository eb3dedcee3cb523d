/* What a table of options is checked for between ranks: every row within its range, and equal on all. */
#include "par/arguments.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

typedef enum level { LEVEL_LOW, LEVEL_TOP } level;

typedef struct settings {
    bool flag, shade;
    level height;
    int64_t top, depth;
    double share, width, gap;
    const char *policy, *kernel;
} settings;

static const trm_word levels[] = {
    {.name = "low", .value = LEVEL_LOW},
    {.name = "top", .value = LEVEL_TOP, .number = "K", .least = 1, .most = INT32_MAX},
};
static const trm_words level_words = TRM_WORDS("level", levels);
static const trm_word shades[] = {{.name = "dark", .value = 0}, {.name = "light", .value = 1}};
static const trm_words shade_words = TRM_WORDS("bool", shades);
static const trm_word policies[] = {{.name = "hard"}, {.name = "topk", .number = "K", .least = 1, .most = 9}};
static const trm_words policy_words = TRM_WORDS("policy", policies);
static const trm_word depths[] = {{.name = "auto", .value = 0}};
static const trm_words depth_words = TRM_WORDS("depth", depths);

static const trm_option rows[] = {
    {.kind = TRM_OPTION_FLAG, TRM_FIELD(settings, flag)},
    {.kind = TRM_OPTION_WORD, TRM_FIELD(settings, shade), .words = &shade_words},
    {.kind = TRM_OPTION_WORD, TRM_FIELD(settings, height), TRM_NUMBER(settings, top), .words = &level_words},
    {.kind = TRM_OPTION_WHOLE, TRM_FIELD(settings, depth), .words = &depth_words, .least = 3, .most = 8},
    {.kind = TRM_OPTION_REAL, TRM_FIELD(settings, share), .most = 1},
    {.kind = TRM_OPTION_REAL, TRM_FIELD(settings, width), .least = -INFINITY},
    {.kind = TRM_OPTION_REAL, TRM_FIELD(settings, gap), .optional = true},
    {.kind = TRM_OPTION_TEXT, TRM_FIELD(settings, policy), .words = &policy_words},
    {.kind = TRM_OPTION_TEXT, TRM_FIELD(settings, kernel)},
};
static const trm_options table = TRM_OPTIONS("Test", rows);

static const settings usual = {.height = LEVEL_TOP, .top = 3, .width = -2.5, .gap = NAN, .policy = "topk:4"};

static trm_status agree(const settings *s, trm_error *err)
{
    trm_arguments list = {.owner = "test.", .count = 0};
    *err = (trm_error)TRM_ERROR_INIT;
    trm_arguments_options(&list, &table, s);
    return trm_arguments_agree(MPI_COMM_WORLD, &list, TRM_OK, err);
}

#define CHANGE(name, change)                                                                                 \
    static void name(settings *s)                                                                            \
    {                                                                                                        \
        change;                                                                                              \
    }
CHANGE(nothing, (void)s)
CHANGE(low, s->height = LEVEL_LOW; s->top = -1) /* a number that the word has not is not looked at */
CHANGE(no_policy, s->policy = NULL)
CHANGE(kernel, s->kernel = "blas")
CHANGE(gap, s->gap = 0.25)
CHANGE(height, s->height = (level)7)
CHANGE(top, s->top = 0)
CHANGE(other_top, s->top = 4)
CHANGE(depth, s->depth = 2)
CHANGE(deep, s->depth = 9)
CHANGE(share, s->share = 1.5)
CHANGE(width, s->width = NAN)
CHANGE(bad_gap, s->gap = -1.0)
CHANGE(policy, s->policy = "topk:10")
CHANGE(unknown, s->policy = "hrad")
CHANGE(other_policy, s->policy = "topk:5")
CHANGE(other_kernel, s->kernel = "blas")
CHANGE(other_shade, s->shade = true)

/* A message must say the beginning; "" is no error. On all ranks alike, or (apart) on the last one only. */
static const struct {
    void (*change)(settings *s);
    bool apart;
    const char *text;
} cases[] = {
    {nothing, false, ""},
    {low, false, ""},
    {no_policy, false, "test.policy '': must be one of hard topk:K"},
    {kernel, false, ""}, /* a text without words may be NULL, too */
    {gap, false, ""},
    {height, false, "test.height 7: must be a level, 0 to 1"},
    {top, false, "test.top 0: must be at least 1"},
    {depth, false, "test.depth 2: must be at least 3"},
    {deep, false, "test.depth 9: must be at most 8"},
    {share, false, "test.share 1.5: must be at most 1"},
    {width, false, "test.width nan: must be a finite number"},
    {bad_gap, false, "test.gap -1: must be a finite number, 0 or more"},
    {policy, false, "test.policy topk '10': must be a whole number from 1 to 9"},
    {unknown, false, "test.policy 'hrad': must be one of hard topk:K, did you mean 'hard'?"},
    {other_top, true, "test.top: 4 on rank "},
    {low, true, "test.height: 0 on rank "},
    {gap, true, "test.gap: 0.25 on rank "},
    {other_policy, true, "test.policy: 'topk:5' on rank "},
    {other_kernel, true, "test.kernel: 'blas' on rank "},
    {other_shade, true, "test.shade: 1 on rank "},
};

static void a_table_is_checked_on_all_ranks(void **state)
{
    (void)state;
    int rank = 0, ranks = 0, wrong = 0;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        settings s = usual;
        trm_error err;
        if (cases[i].apart && ranks == 1)
            continue;
        if (!cases[i].apart || rank == ranks - 1)
            cases[i].change(&s);
        const trm_status status = agree(&s, &err);
        const bool good =
            cases[i].text[0] == '\0'
                ? status == TRM_OK
                : status == TRM_ERR_USAGE && strncmp(err.text, cases[i].text, strlen(cases[i].text)) == 0;
        if (!good)
            print_error("rank %d, '%s': %s\n", rank, cases[i].text, err.text);
        wrong += !good;
    }
    MPI_Allreduce(MPI_IN_PLACE, &wrong, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
    assert_int_equal(wrong, 0);
}

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_table_is_checked_on_all_ranks)};
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    MPI_Finalize();
    return failed;
}
