/* Structs of options by an older header: what it knows is taken, what it does not know keeps its default, and what was
 * never initialised is refused. */
#include "base/sized.h"
#include "trimine/trimine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* One type in three versions; inner grew, and outer grew behind it. */
typedef struct inner_1 {
    size_t size;
    double a;
} inner_1;
typedef struct inner_2 {
    size_t size;
    double a, b;
} inner_2;
typedef struct outer_0 { /* without the inner one */
    size_t size;
    int64_t first;
} outer_0;
typedef struct outer_1 {
    size_t size;
    int64_t first;
    inner_1 inner;
    int64_t last;
} outer_1;
typedef struct outer_2 {
    size_t size;
    int64_t first;
    inner_2 inner;
    int64_t last, more;
} outer_2;

static const trm_sized type = {.name = "trm_x_options",
                               .size = sizeof(outer_2),
                               .parts = 1,
                               .part = {{".inner", offsetof(outer_2, inner), sizeof(inner_2)}}};
static const outer_2 defaults = {sizeof(outer_2), 10, {sizeof(inner_2), 2.0, 3.0}, 40, 50};

/* own is this, and its sizes are ours. */
static void check(const outer_2 *own, int64_t first, double a, double b, int64_t last, int64_t more)
{
    assert_int_equal(own->size, sizeof *own);
    assert_int_equal(own->inner.size, sizeof own->inner);
    assert_int_equal(own->first, first);
    assert_true(own->inner.a == a && own->inner.b == b);
    assert_int_equal(own->last, last);
    assert_int_equal(own->more, more);
}

static void what_an_older_header_knows_is_taken(void **state)
{
    (void)state;
    outer_2 own = defaults;
    const outer_1 given = {sizeof given, 11, {sizeof given.inner, 2.5}, 41};
    assert_int_equal(trm_sized_take(&type, &own, &given, NULL), TRM_OK);
    check(&own, 11, 2.5, 3.0, 41, 50);
    own = defaults;
    const outer_0 oldest = {sizeof oldest, 12};
    assert_int_equal(trm_sized_take(&type, &own, &oldest, NULL), TRM_OK);
    check(&own, 12, 2.0, 3.0, 40, 50);
    own = defaults;
    const outer_2 same = {sizeof same, 13, {sizeof same.inner, 2.5, 3.5}, 42, 52};
    assert_int_equal(trm_sized_take(&type, &own, &same, NULL), TRM_OK);
    check(&own, 13, 2.5, 3.5, 42, 52);
    own = defaults;
    assert_int_equal(trm_sized_take(&type, &own, NULL, NULL), TRM_OK);
    check(&own, 10, 2.0, 3.0, 40, 50);
}

static void an_older_header_gets_defaults_where_it_has_its_members(void **state)
{
    (void)state;
    struct {
        outer_1 given;
        int64_t behind;
    } s = {.behind = 77};
    trm_sized_give(&type, &defaults, &s.given, (const size_t[]){sizeof s.given, sizeof s.given.inner});
    assert_int_equal(s.given.size, sizeof s.given);
    assert_int_equal(s.given.first, 10);
    assert_int_equal(s.given.inner.size, sizeof s.given.inner);
    assert_true(s.given.inner.a == 2.0);
    assert_int_equal(s.given.last, 40);
    assert_int_equal(s.behind, 77);
}

/* A header that is newer than the library: what the library does not know is zero, and the size tells. */
static void a_newer_header_is_refused_in_the_end(void **state)
{
    (void)state;
    static const trm_sized older = {.name = "trm_x_options",
                                    .size = sizeof(outer_1),
                                    .parts = 1,
                                    .part = {{".inner", offsetof(outer_1, inner), sizeof(inner_1)}}};
    const outer_1 known = {sizeof known, 10, {sizeof known.inner, 2.0}, 40};
    outer_2 given;
    outer_1 own = known;
    memset(&given, 1, sizeof given);
    trm_sized_give(&older, &known, &given, (const size_t[]){sizeof given, sizeof given.inner});
    check(&given, 10, 2.0, 0.0, 40, 0);
    assert_int_equal(trm_sized_take(&older, &own, &given, NULL), TRM_ERR_USAGE);
}

static void refuses(const void *given, const char *text)
{
    trm_error err = TRM_ERROR_INIT;
    outer_2 own = defaults;
    assert_int_equal(trm_sized_take(&type, &own, given, &err), TRM_ERR_USAGE);
    assert_non_null(strstr(err.text, text));
    check(&own, 10, 2.0, 3.0, 40, 50);
}

static void what_was_not_initialised_is_refused(void **state)
{
    (void)state;
    outer_2 given = defaults;
    given.size = 0;
    refuses(&given,
            "trm_x_options.size is 0, must be from 8 to 56: was it initialised with trm_x_options_init?");
    given.size = sizeof given + 8;
    refuses(&given, "trm_x_options.size is 64, ");
    given.size = sizeof given - 3;
    refuses(&given, "trm_x_options.size is 53, ");
    given = defaults;
    given.inner.size = 0;
    refuses(
        &given,
        "trm_x_options.inner.size is 0, must be from 8 to 24: was it initialised with trm_x_options_init?");
    given.inner.size = sizeof given.inner + 8;
    refuses(&given, "trm_x_options.inner.size is 32, ");
    given.inner.size = sizeof given.inner - 8; /* then what follows it is too long */
    refuses(&given, "trm_x_options.size is 56, ");
}

/* The public structs: their functions set the sizes that their header has, and no more. */
static void every_init_sets_the_size(void **state)
{
    (void)state;
    trm_mine_options mine;
    trm_loss_options loss;
    trm_evaluate_options evaluate;
    trm_packed_options packed;
    trm_run_options run;
    trm_store_options store;
    trm_read_options read;
    trm_knn_options knn;
    trm_eval_options eval;
    trm_radius_options radius;
    memset(&evaluate, 1, sizeof evaluate);
    trm_mine_options_init(&mine);
    trm_loss_options_init(&loss);
    trm_evaluate_options_init(&evaluate);
    trm_packed_options_init(&packed);
    trm_run_options_init(&run);
    trm_store_options_init(&store);
    trm_read_options_init(&read);
    trm_knn_options_init(&knn);
    trm_eval_options_init(&eval);
    trm_radius_options_init(&radius);
    assert_int_equal(mine.size, sizeof mine);
    assert_int_equal(loss.size, sizeof loss);
    assert_int_equal(evaluate.size, sizeof evaluate);
    assert_int_equal(evaluate.mine.size, sizeof mine);
    assert_int_equal(evaluate.loss.size, sizeof loss);
    assert_int_equal(packed.size, sizeof packed);
    assert_int_equal(packed.loss.size, sizeof loss);
    assert_int_equal(run.size, sizeof run);
    assert_int_equal(store.size, sizeof store);
    assert_int_equal(read.size, sizeof read);
    assert_int_equal(knn.size, sizeof knn);
    assert_true(knn.k == 10 && knn.among == TRM_AMONG_ANY && knn.metric == TRM_METRIC_SQL2 &&
                knn.queries == NULL);
    assert_int_equal(eval.size, sizeof eval);
    assert_string_equal(eval.at, "1,5,10,100");
    assert_string_equal(eval.metrics, "all");
    assert_true(!eval.all_ranks && !eval.per_class && eval.queries == NULL && eval.pairs == NULL);
    assert_int_equal(radius.size, sizeof radius);
    assert_true(radius.bins == 20 && radius.max_pairs == 100000000 && !radius.list && !radius.groups &&
                radius.radius != radius.radius && radius.queries == NULL);
    assert_true(mine.margin == 1.0 && strcmp(mine.positives, "all") == 0 &&
                strcmp(mine.negatives, "semihard") == 0 && mine.window == TRM_WINDOW_LT);
    assert_memory_equal(&evaluate.mine, &mine, sizeof mine);
    assert_memory_equal(&evaluate.loss, &loss, sizeof loss);
    assert_true(evaluate.queries == NULL && evaluate.queries_gradient == NULL);
    assert_true(packed.window == TRM_WINDOW_LT && packed.window_margin == 1.0 && packed.seed == 0 &&
                strcmp(packed.negatives, "semihard") == 0 && packed.emit == NULL);
    assert_string_equal(run.kernel, "auto");
    assert_null(store.labels);
    assert_false(read.normalize);

    enum { KNOWN = offsetof(trm_mine_options, reserve) };
    trm_mine_options shorter;
    memset(&shorter, 1, sizeof shorter);
    const int64_t behind = shorter.reserve;
    trm_mine_options_init_sized(&shorter, KNOWN);
    assert_int_equal(shorter.size, KNOWN);
    assert_true(shorter.margin == 1.0);
    assert_int_equal(shorter.reserve, behind);
}

static void the_library_knows_its_version(void **state)
{
    (void)state;
    assert_string_equal(trm_version(), TRM_VERSION);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_an_older_header_knows_is_taken),
        cmocka_unit_test(an_older_header_gets_defaults_where_it_has_its_members),
        cmocka_unit_test(a_newer_header_is_refused_in_the_end),
        cmocka_unit_test(what_was_not_initialised_is_refused),
        cmocka_unit_test(every_init_sets_the_size),
        cmocka_unit_test(the_library_knows_its_version),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
