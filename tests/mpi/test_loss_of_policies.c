/* The loss of what a policy mines is that of the triplets which mine writes with the same options: value, counts and
 * gradient, bit for bit, and so are statistics. Jobs as the program runs them, in one start of MPI. */
#include "job/inner.h"
#include "mine/negatives.h"
#include "mine/positives.h"
#include "support/random_store.h"
#include "support/scratch.h"
#include "trimine/job.h"

#include <mpi.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { ROWS = 90, DIM = 4, CLASSES = 7, BINS = 6 };

/* ---- jobs ---- */

static trm_job *make(const char *kind, const char *options)
{
    char text[400], *rest = NULL;
    trm_job *job;
    assert_int_equal(trm_job_create(kind, &job, NULL), TRM_OK);
    assert_int_equal(trm_job_add_input(job, in_folder("store.h5"), NULL), TRM_OK);
    snprintf(text, sizeof text, "%s", options);
    for (char *word = strtok_r(text, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest)) {
        char *equals = strchr(word, '=');
        if (equals != NULL)
            *equals = '\0';
        assert_int_equal(trm_job_set(job, word, equals != NULL ? equals + 1 : NULL, NULL), TRM_OK);
    }
    return job;
}

/* Collective. */
static trm_status work(trm_job *job, trm_error *err)
{
    const char *json;
    *err = (trm_error)TRM_ERROR_INIT;
    trm_status status = trm_job_open(job, MPI_COMM_WORLD, NULL, err);
    if (status == TRM_OK)
        status = trm_job_plan(job, err);
    if (status == TRM_OK)
        status = trm_job_run(job, err);
    if (status == TRM_OK)
        status = trm_job_write(job, err);
    return status == TRM_OK ? trm_job_tell(job, &json, err) : status;
}

static trm_job *run(const char *kind, const char *options)
{
    trm_error err;
    trm_job *job = make(kind, options);
    const trm_status status = work(job, &err);
    if (status != TRM_OK && rank == 0)
        fprintf(stderr, "%s %s: %s\n", kind, options, err.text);
    assert_true(everywhere(status == TRM_OK));
    return job;
}

/* ---- the store: coordinates in eighths, so many ties ---- */

static void fill(void *context, int64_t first, int64_t count, float *embeddings, int64_t *labels)
{
    (void)context;
    for (int64_t i = 0; i < count; i++) {
        test_random random = {(uint64_t)(first + i) + 11};
        labels[i] = (first + i) % CLASSES;
        for (int k = 0; k < DIM; k++)
            embeddings[i * DIM + k] = (float)(1 + test_random_below(&random, 9) + labels[i] % 3) / 8.0F;
    }
}

static int make_store(void **state)
{
    trm_claim *claim = NULL;
    if (make_folder(state) != 0)
        return 1;
    trm_status status =
        trm_claim_take(MPI_COMM_WORLD, "output", in_folder("store.h5"), false, 0, NULL, &claim, NULL);
    if (status == TRM_OK)
        status = trm_store_write(MPI_COMM_WORLD, claim, ROWS, DIM, fill, NULL, 0, NULL, NULL);
    trm_claim_release(&claim);
    return !everywhere(status == TRM_OK);
}

/* ---- what is compared ---- */

/* Of each word of the policies at least one. */
static const char *const lines[] = {
    "",
    "fallback=farthest-inside window=none metric=l2",
    "pick=random fallback=random seed=9",
    "negatives=hard reduction=mean_nonzero",
    "negatives=topk:3 positives=nearest:2 metric=cosine",
    "negatives=topk:2 ranks=2-9 min-distance=0.2",
    "negatives=hard absolute-margin=0.1 max-distance=3 rank-order=after ranks=1-",
    "negatives=topk:4 relative-margin=0.05 swap",
    "negatives=random:3 seed=5 positives=random:2 metric=dot",
    "negatives=weighted:2 normalize seed=7 positives=hardest",
    "negatives=within-margin emit margin=0.3",
    "negatives=hard-all emit positives=easiest metric=l2",
    "negatives=easy-all emit margin=0.5 positives=nearest:1 soft",
    "negatives=violating emit margin=0.4 reduction=sum",
    "negatives=multisimilarity:0.1 emit metric=cosine",
};
enum { LINES = sizeof lines / sizeof *lines };

/* Does a line have the option with that word? The first is what is usual. */
static bool has_word(const char *line, const char *option, const char *word, bool usual)
{
    char text[64];
    const size_t length = (size_t)snprintf(text, sizeof text, "%s=%s", option, word);
    const char *at = strstr(line, text);
    if (usual && strstr(line, option) == NULL)
        return true;
    return at != NULL && strchr(" :", at[length]) != NULL;
}

static bool is_tried(const char *option, const trm_words *words)
{
    bool all = true;
    for (int i = 0; i < words->count; i++) {
        bool found = false;
        for (int k = 0; k < LINES; k++)
            found = found || has_word(lines[k], option, trm_word_at(words, i)->name, i == 0);
        if (!found)
            fprintf(stderr, "%s %s is not tried\n", option, trm_word_at(words, i)->name);
        all = all && found;
    }
    return all;
}

static void every_policy_is_tried(void **state)
{
    (void)state;
    assert_true(is_tried("negatives", &trm_negatives_words));
    assert_true(is_tried("positives", &trm_positives_words));
}

/* The words of a line that say what the loss of triplets is, and not which triplets there are. */
static void options_of_given(const char *line, char text[400])
{
    static const char *const kept[] = {"metric", "soft", "swap", "reduction", "normalize", "margin"};
    char words[400], *rest = NULL;
    snprintf(words, sizeof words, "%s", line);
    for (char *word = strtok_r(words, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest))
        for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
            if (strncmp(word, kept[i], strlen(kept[i])) == 0 && strchr("=", word[strlen(kept[i])]) != NULL)
                snprintf(text + strlen(text), 400 - strlen(text), " %s", word);
}

static bool is_same_loss(const trm_loss_summary *x, const trm_loss_summary *y)
{
    return x->sum == y->sum && x->count == y->count && x->active == y->active && x->valid == y->valid &&
           x->rows == y->rows && x->value == y->value && x->gradient_norm == y->gradient_norm &&
           x->gradient_max_abs == y->gradient_max_abs;
}

static bool is_same_gradient(const trm_job *x, const trm_job *y)
{
    const size_t bytes = (size_t)(x->base.batch.count * x->base.batch.dim) * sizeof(float);
    return x->base.batch.count == y->base.batch.count && memcmp(x->gradient, y->gradient, bytes) == 0;
}

static bool is_same_statistic(const trm_statistic *x, const trm_statistic *y, int64_t bins)
{
    return x->count == y->count && x->mean == y->mean && x->std == y->std && x->min == y->min &&
           x->q1 == y->q1 && x->median == y->median && x->q3 == y->q3 && x->max == y->max &&
           memcmp(x->edges, y->edges, (size_t)(bins + 1) * sizeof *x->edges) == 0 &&
           memcmp(x->bin, y->bin, (size_t)bins * sizeof *x->bin) == 0;
}

static bool is_same_survey(const trm_survey *x, const trm_survey *y)
{
    bool same = x->found.ordered && y->found.ordered && x->found.bins == BINS && y->found.bins == BINS;
    for (int k = 0; k < TRM_SERIES && same; k++)
        same = is_same_statistic(&x->found.of[k], &y->found.of[k], BINS);
    for (int i = 0; i < x->options.margins && same; i++)
        same = x->margin[i].count == y->margin[i].count && x->margin[i].active == y->margin[i].active &&
               x->margin[i].semihard == y->margin[i].semihard && x->margin[i].sum == y->margin[i].sum;
    return same && x->options.margins == y->options.margins;
}

/* A sweep of margins, where there may be one, of triplets without a fallback. */
static const char *margins_of(const char *line)
{
    static const char *const against[] = {"fallback", "soft", "swap", "pick", "margin=", "-all", "normalize"};
    for (size_t i = 0; i < sizeof against / sizeof *against; i++)
        if (strstr(line, against[i]) != NULL)
            return "";
    return "margins=0.2,1,0.05";
}

static void the_loss_of_a_policy_is_that_of_its_triplets(void **state)
{
    (void)state;
    for (int i = 0; i < LINES; i++) {
        char options[900], of_given[400] = "";
        const char *margins = margins_of(lines[i]);
        snprintf(options, sizeof options, "%s %s gradient histogram=6 output=%s overwrite", lines[i], margins,
                 in_folder("mined.h5"));
        trm_job *mine = run("mine", options);
        snprintf(options, sizeof options, "%s %s loss=mined gradient histogram=6", lines[i], margins);
        trm_job *mined = run("loss", options);
        options_of_given(lines[i], of_given);
        snprintf(options, sizeof options, "%s %s triplets=%s gradient histogram=6", of_given, margins,
                 in_folder("mined.h5"));
        trm_job *given = run("loss", options);
        const bool good =
            is_same_loss(&mined->loss, &given->loss) && is_same_loss(&mined->loss, &mine->loss) &&
            is_same_gradient(mined, given) && is_same_gradient(mined, mine) && mined->loss.count > 0 &&
            is_same_survey(&mined->survey, &given->survey) && is_same_survey(&mined->survey, &mine->survey) &&
            mined->loss.gradient_norm > 0.0 && strcmp(mined->mined.result_hash, mine->mined.result_hash) == 0;
        if (!good)
            fprintf(stderr, "rank %d, '%s': %lld and %lld triplets, losses %.17g and %.17g\n", rank, lines[i],
                    (long long)mined->loss.count, (long long)given->loss.count, mined->loss.sum,
                    given->loss.sum);
        trm_job_destroy(&mine);
        trm_job_destroy(&mined);
        trm_job_destroy(&given);
        assert_true(everywhere(good));
    }
}

int main(int argc, char **argv)
{
    start_mpi(&argc, &argv, 1200);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_policy_is_tried),
        cmocka_unit_test(the_loss_of_a_policy_is_that_of_its_triplets),
    };
    const int failed = cmocka_run_group_tests(tests, make_store, remove_folder);
    MPI_Finalize();
    return failed;
}
