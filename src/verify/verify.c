/* A result against its store; see verify.h. Each check ends in an agreement, so that the first fault is the same on all
 * ranks. What names a row comes first; the hash, which only says that something is wrong, last. */
#include "verify/verify.h"

#include "base/alloc.h"
#include "base/random.h"
#include "par/agree.h"
#include "par/exchange.h"
#include "verify/questions.h"
#include "verify/triplets.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

typedef enum kind { OTHER, TRIPLETS, KNN, RADIUS } kind;

static kind kind_of(const trm_result *result)
{
    static const struct {
        const char *format;
        kind kind;
    } kinds[] = {{"trimine-triplets", TRIPLETS},
                 {"trimine-lists", TRIPLETS},
                 {"trimine-knn", KNN},
                 {"trimine-radius", RADIUS}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(trm_result_text(result, "format"), kinds[i].format) == 0)
            return kinds[i].kind;
    return OTHER;
}

/* All that is at hand. */
typedef struct verification {
    MPI_Comm comm;
    const trm_verify_ask *ask;
    trm_verify_found *found;
    trm_result *result;
    trm_rule rule;
    trm_view view;
    trm_lines lines;
    kind kind;
    int64_t drawn_count;
    trm_drawn *drawn;
} verification;

/* ---- the store ---- */

static trm_status check_whole(const trm_result *result, const char *name, int64_t needs, trm_error *err)
{
    int64_t has = -1;
    if (trm_result_whole(result, name, &has) && has == needs)
        return TRM_OK;
    return trm_fail(err, TRM_ERR_DATA,
                    "result '%s': attribute '%s' is %" PRId64 ", the rows given have %" PRId64,
                    trm_result_path(result), name, has, needs);
}

static trm_status check_text(const trm_result *result, const char *name, const char *needs, const char *whose,
                             trm_error *err)
{
    const char *has = trm_result_text(result, name);
    if (has != NULL && strcmp(has, needs) == 0)
        return TRM_OK;
    return trm_fail(err, TRM_ERR_DATA, "result '%s': attribute '%s' is %s, %s %s", trm_result_path(result),
                    name, has != NULL ? has : "missing", whose, needs);
}

static trm_status check_sizes(const verification *of, trm_error *err)
{
    trm_status status = check_whole(of->result, "store_rows", of->view.rows, err);
    if (status == TRM_OK)
        status = check_whole(of->result, "store_dim", of->view.dim, err);
    if (status == TRM_OK && of->view.two_sets)
        status = check_whole(of->result, "queries_rows", of->view.askers, err);
    if (status == TRM_OK)
        status = check_text(of->result, "metric", trm_metric_name(of->rule.metric), "its options have", err);
    return status;
}

static trm_status check_store(verification *of, trm_error *err)
{
    char text[33];
    trm_status status = trm_agree(of->comm, check_sizes(of, err), err);
    if (status == TRM_OK)
        status = trm_view_fingerprint(of->comm, &of->view, false, of->found->fingerprint, err);
    if (status == TRM_OK)
        status =
            check_text(of->result, "store_fingerprint", of->found->fingerprint, "the store's rows have", err);
    if (status == TRM_OK && of->view.two_sets)
        status = trm_view_fingerprint(of->comm, &of->view, true, text, err);
    if (status == TRM_OK && of->view.two_sets)
        status = check_text(of->result, "queries_fingerprint", text, "the queries' rows have", err);
    of->found->rows = of->view.rows;
    of->found->dim = of->view.dim;
    of->found->askers = of->view.askers;
    return trm_agree(of->comm, status, err);
}

/* ---- the sample ---- */

/* As many rows as are asked for, each as likely, ascending: Knuth's selection sampling (TAOCP 3.4.2, S). */
static trm_status draw(verification *of, trm_error *err)
{
    const int64_t all = of->view.askers, most = of->ask->sample < all ? of->ask->sample : all;
    of->drawn = trm_alloc_zero(most, sizeof *of->drawn);
    if (of->drawn == NULL)
        return trm_fail_memory(err, "a sample", most, sizeof *of->drawn);
    for (int64_t i = 0; i < all && of->drawn_count < most; i++) {
        const double u = trm_random_uniform(of->ask->seed, 0, (uint64_t)i);
        if (u * (double)(all - i) <= (double)(most - of->drawn_count))
            of->drawn[of->drawn_count++] = (trm_drawn){i, INT64_MAX, 0};
    }
    return TRM_OK;
}

/* Why nothing can be decided anew, or NULL. */
static const char *undecided(const verification *of)
{
    if (of->kind == OTHER)
        return "only results of mine, knn and radius are";
    if (of->rule.unknown[0] != '\0')
        return of->rule.unknown;
    if (of->kind == TRIPLETS && of->lines.of.batched)
        return "it was mined inside batches";
    return of->kind == TRIPLETS ? trm_triplets_undecided(&of->rule) : NULL;
}

static trm_status decide_group(verification *of, int64_t count, const trm_drawn *drawn, trm_error *err)
{
    trm_group group;
    int64_t *id = trm_alloc(count, sizeof *id), *entries = &of->found->entries;
    if (id == NULL)
        return trm_fail_memory(err, "a sample", count, sizeof *id);
    for (int64_t i = 0; i < count; i++)
        id[i] = drawn[i].anchor;
    trm_status status = trm_group_look(&of->view, count, id, &group, err);
    if (status == TRM_OK)
        status = of->kind == KNN      ? trm_knn_decide(&group, of->result, entries, err)
                 : of->kind == RADIUS ? trm_radius_decide(&group, of->result, drawn, entries, err)
                                      : trm_triplets_decide(&group, &of->lines, drawn, entries, err);
    trm_group_free(&group);
    trm_free(id);
    return status;
}

/* Each rank has a part of the sample. */
static trm_status decide(verification *of, trm_error *err)
{
    int ranks = 0;
    int64_t first, last;
    const char *why = undecided(of);
    const int64_t most = trm_group_most(&of->view);
    trm_status status = TRM_OK;
    if (why != NULL) {
        snprintf(of->found->why_not, sizeof of->found->why_not, "%s", why);
        return TRM_OK;
    }
    MPI_Comm_size(of->comm, &ranks);
    trm_share(of->drawn_count, trm_rank_of(of->comm), ranks, &first, &last);
    for (int64_t at = first; at < last && status == TRM_OK; at += most)
        status = decide_group(of, last - at < most ? last - at : most, of->drawn + at, err);
    status = trm_agree(of->comm, status, err);
    if (status != TRM_OK)
        return status;
    of->found->entries = trm_sum_int64(of->comm, of->found->entries);
    of->found->anchors = of->drawn_count;
    return TRM_OK;
}

/* ---- all of it ---- */

/* What the file says by itself. */
static trm_status check_lines(verification *of, trm_error *err)
{
    trm_verify_found *found = of->found;
    trm_status status = TRM_OK;
    if (of->kind == KNN)
        return trm_knn_check(of->comm, of->result, &of->view, &found->lines, found->hash, err);
    if (of->kind == RADIUS)
        return trm_radius_check(of->comm, of->result, &of->view, of->drawn_count, of->drawn, &found->lines,
                                found->hash, err);
    if (of->kind == OTHER)
        return TRM_OK;
    status = trm_agree(of->comm, trm_lines_open(of->result, &of->view, &of->lines, err), err);
    if (status == TRM_OK)
        status = trm_lines_check(of->comm, &of->lines, of->drawn_count, of->drawn, found->hash, err);
    found->lines = of->lines.of.lines;
    return status;
}

static trm_status open_all(verification *of, trm_error *err)
{
    trm_status status = trm_result_open(of->comm, of->ask->result, &of->result, err);
    if (status != TRM_OK)
        return status;
    const bool packed = trm_result_text(of->result, "packed_fingerprint") != NULL;
    snprintf(of->found->format, sizeof of->found->format, "%s", trm_result_text(of->result, "format"));
    of->kind = kind_of(of->result);
    status = trm_rule_read(of->result, &of->rule, err);
    if (status == TRM_OK && packed)
        status =
            trm_fail(err, TRM_ERR_DATA,
                     "result '%s' is of packed triplets, not of a store: there is nothing to verify it by",
                     trm_result_path(of->result));
    status = trm_agree(of->comm, status, err);
    return status == TRM_OK ? trm_view_open(of->comm, of->ask, of->result, &of->rule, &of->view, err)
                            : status;
}

trm_status trm_verify(MPI_Comm comm, const trm_verify_ask *ask, trm_verify_found *found, trm_error *err)
{
    verification of = {.comm = comm, .ask = ask, .found = found};
    *found = (trm_verify_found){.rows = 0};
    trm_status status = open_all(&of, err);
    if (status == TRM_OK)
        status = check_store(&of, err);
    if (status == TRM_OK)
        status = trm_agree(comm, draw(&of, err), err);
    if (status == TRM_OK)
        status = check_lines(&of, err);
    if (status == TRM_OK)
        status = decide(&of, err);
    if (status == TRM_OK && of.kind != OTHER)
        status =
            trm_agree(comm, check_text(of.result, "result_hash", found->hash, "its rows have", err), err);
    if (status == TRM_OK)
        status = trm_agree(comm, trm_result_check_unchanged(of.result, err), err);
    trm_lines_close(&of.lines);
    trm_free(of.drawn);
    trm_view_close(&of.view);
    trm_rule_free(&of.rule);
    trm_result_close(&of.result);
    return status;
}
