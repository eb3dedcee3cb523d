/* A result against its store; see verify.h. Each check ends in an agreement, so that the first fault is the same on all
 * ranks. What names a row comes first; the hash, which only says that something is wrong, last. */
#include "verify/verify.h"

#include "base/alloc.h"
#include "base/visible.h"
#include "par/agree.h"
#include "par/exchange.h"
#include "store/batch_file.h"
#include "store/labels.h"
#include "verify/compare.h"
#include "verify/histograms.h"
#include "verify/lists.h"
#include "verify/losses.h"
#include "verify/near.h"
#include "verify/packed.h"
#include "verify/questions.h"
#include "verify/relevant.h"
#include "verify/sample.h"
#include "verify/triplets.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

typedef enum kind { OTHER, TRIPLETS, KNN, RADIUS, EVAL, LOSS, LISTS, PACKED } kind;

static kind kind_of(const trm_result *result)
{
    static const struct {
        const char *format;
        kind kind;
    } kinds[] = {{"trimine-triplets", TRIPLETS}, {"trimine-lists", TRIPLETS}, {"trimine-knn", KNN},
                 {"trimine-radius", RADIUS},     {"trimine-eval", EVAL},      {"trimine-gradient", LOSS},
                 {TRM_BATCH_LIST_FORMAT, LISTS}};
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
    trm_census census; /* where it is needed */
    trm_batch_lists lists;
    kind kind;
    bool batched, gradient; /* gradient: of triplets */
    int64_t drawn_count;
    trm_drawn *drawn;
} verification;

/* ---- attributes ---- */

static trm_status check_whole(const trm_result *result, const char *name, int64_t needs, const char *whose,
                              trm_error *err)
{
    int64_t has = -1;
    if (trm_result_whole(result, name, &has) && has == needs)
        return TRM_OK;
    return trm_fail(err, TRM_ERR_DATA, "result '%s': attribute '%s' is %" PRId64 ", %s have %" PRId64,
                    trm_result_path(result), name, has, whose, needs);
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

/* ---- what the file says twice: by an attribute, and among its options ---- */

static trm_status check_margin(const verification *of, trm_error *err)
{
    const double needs = of->kind == TRIPLETS ? of->rule.margin : of->rule.loss_margin;
    double has = NAN;
    return trm_result_real(of->result, "margin", &has) && has == needs
               ? TRM_OK
               : trm_fail(err, TRM_ERR_DATA,
                          "result '%s': attribute 'margin' is %.17g, its options have %.17g",
                          trm_result_path(of->result), has, needs);
}

static const char *name_of_loss(const trm_rule *rule)
{
    if (trm_rule_is(rule->negatives, "reversed"))
        return "reversed";
    if (trm_rule_is(rule->source, "batch-hard"))
        return rule->soft ? "batch-hard-soft" : "batch-hard";
    if (trm_rule_is(rule->source, "batch-all") || trm_rule_is(rule->source, "within-margin"))
        return rule->source;
    return rule->soft ? "triplet-soft" : "triplet";
}

static trm_status check_queries(const verification *of, trm_error *err)
{
    const json_t *queries = json_object_get(of->rule.options, "queries");
    const char *text = json_string_value(json_object_get(queries, "fingerprint"));
    if (queries == NULL)
        return TRM_OK;
    trm_status status =
        check_whole(of->result, "queries_rows", json_integer_value(json_object_get(queries, "rows")),
                    "the queries of its options", err);
    return status == TRM_OK ? check_text(of->result, "queries_fingerprint", text != NULL ? text : "missing",
                                         "its options have", err)
                            : status;
}

static trm_status check_said_twice(const verification *of, trm_error *err)
{
    static const char options[] = "its options have";
    trm_status status = TRM_OK;
    if (of->kind == TRIPLETS || of->kind == LOSS || of->kind == PACKED)
        status = check_margin(of, err);
    if (status == TRM_OK && (of->kind == LOSS || of->kind == PACKED))
        status = check_text(of->result, "loss", name_of_loss(&of->rule), options, err);
    if (status == TRM_OK && of->kind != LISTS)
        status = check_text(of->result, "metric", trm_metric_name(of->rule.metric), options, err);
    return status == TRM_OK ? check_queries(of, err) : status;
}

/* ---- the store ---- */

static trm_status check_sizes(const verification *of, trm_error *err)
{
    static const char rows[] = "the rows given", options[] = "its options";
    trm_status status = check_whole(of->result, "store_rows", of->view.rows, rows, err);
    if (status == TRM_OK)
        status = check_whole(of->result, "store_dim", of->view.dim, rows, err);
    if (status == TRM_OK && of->view.two_sets)
        status = check_whole(of->result, "queries_rows", of->view.askers, rows, err);
    if (status == TRM_OK && of->view.two_sets && of->rule.pairs_fingerprint[0] != '\0')
        status = check_whole(of->result, "pairs", of->rule.pairs, options, err);
    return status;
}

/* Names that labels stand for are those of the store. */
static trm_status check_names(const verification *of, trm_error *err)
{
    static const trm_names none = TRM_NAMES_INIT;
    trm_names has;
    const trm_names *needs = &none;
    trm_status status = trm_view_names(&of->view, &needs, err);
    if (status != TRM_OK)
        return status;
    status = trm_result_names(of->result, &has, err);
    if (status == TRM_OK && has.count != needs->count)
        status = trm_fail(err, TRM_ERR_DATA,
                          "result '%s': '/label_names' has %" PRId64
                          " names, the labels of the rows have %" PRId64,
                          trm_result_path(of->result), has.count, needs->count);
    for (int64_t i = 0; i < has.count && status == TRM_OK; i++) {
        char shown[TRM_LABEL_TEXT];
        int64_t length, other;
        const char *name = trm_names_get(&has, i, &length), *own = trm_names_get(needs, i, &other);
        if (length == other && memcmp(name, own, (size_t)length) == 0)
            continue;
        trm_visible(name, shown, sizeof shown);
        status = trm_fail(err, TRM_ERR_DATA,
                          "result '%s': '/label_names' row %" PRId64
                          " is '%s', the labels of the rows have another name there",
                          trm_result_path(of->result), i, shown);
    }
    trm_names_free(&has);
    return status;
}

static trm_status check_store(verification *of, trm_error *err)
{
    char text[33];
    trm_status status = trm_agree(of->comm, check_sizes(of, err), err);
    if (status == TRM_OK)
        status = trm_view_fingerprint(of->comm, &of->view, false, of->found->fingerprint, err);
    if (status == TRM_OK && of->kind == LISTS &&
        check_text(of->result, "store_fingerprint", of->found->fingerprint, "", NULL) != TRM_OK) {
        of->rule.normalize = true; /* a list does not say whether rows were */
        status = trm_view_fingerprint(of->comm, &of->view, false, of->found->fingerprint, err);
    }
    if (status == TRM_OK)
        status =
            check_text(of->result, "store_fingerprint", of->found->fingerprint, "the store's rows have", err);
    if (status == TRM_OK && of->view.two_sets)
        status = trm_view_fingerprint(of->comm, &of->view, true, text, err);
    if (status == TRM_OK && of->view.two_sets)
        status = check_text(of->result, "queries_fingerprint", text, "the queries' rows have", err);
    if (status == TRM_OK && (of->kind == TRIPLETS || of->kind == LOSS))
        status = check_names(of, err);
    of->found->rows = of->view.rows;
    of->found->dim = of->view.dim;
    of->found->askers = of->view.askers;
    return trm_agree(of->comm, status, err);
}

/* ---- what is in the file ---- */

/* Labels are counted where anything goes by the number of them. */
static trm_status look_at_labels(verification *of, trm_error *err)
{
    const bool shortlist = !trm_rule_is(of->rule.shortlist, "none");
    trm_status status = TRM_OK;
    if (of->batched || of->gradient || shortlist || of->kind == LOSS)
        status = trm_census_take(&of->view, &of->census, err);
    if (status == TRM_OK && of->batched)
        status = trm_batch_lists_open(of->result, &of->census, &of->lists, err);
    return status;
}

static trm_status look_at_file(verification *of, trm_error *err)
{
    trm_result_array start;
    trm_status status = TRM_OK;
    if (of->kind == TRIPLETS || of->kind == LISTS)
        status = trm_result_find(of->result, "/batches/start", &start, &of->batched, err);
    of->batched = of->batched || of->kind == LISTS; /* of which it is an error that there are none */
    if (status == TRM_OK && of->kind == TRIPLETS)
        status = trm_losses_find(of->result, &of->rule, &of->gradient, err);
    if (status == TRM_OK && of->kind == TRIPLETS)
        status = trm_lines_open(of->result, &of->view, &of->lines, err);
    if (status == TRM_OK)
        status = look_at_labels(of, err);
    return trm_agree(of->comm, status, err);
}

/* ---- the sample ---- */

static trm_status draw(verification *of, trm_error *err)
{
    const int64_t all = of->batched ? of->lists.start[of->lists.count] : of->view.askers;
    int64_t *row = trm_sample_rows(all, of->ask->sample, of->ask->seed, 0, &of->drawn_count);
    of->drawn = row == NULL ? NULL : trm_alloc(of->drawn_count, sizeof *of->drawn);
    trm_status status =
        of->drawn == NULL ? trm_fail_memory(err, "a sample", of->ask->sample, sizeof *of->drawn) : TRM_OK;
    for (int64_t i = 0; i < of->drawn_count && status == TRM_OK; i++)
        of->drawn[i] = (trm_drawn){0, row[i], INT64_MAX, 0};
    trm_free(row);
    return status == TRM_OK && of->batched
               ? trm_batch_lists_place(&of->lists, of->drawn_count, of->drawn, err)
               : status;
}

/* Why nothing can be decided anew, or NULL. */
static const char *undecided(const verification *of)
{
    if (of->rule.unknown[0] != '\0')
        return of->rule.unknown;
    return of->kind == TRIPLETS ? trm_triplets_undecided(&of->rule) : NULL;
}

static trm_status decide_group(verification *of, const trm_candidates *from, int64_t count,
                               const trm_drawn *drawn, trm_error *err)
{
    trm_group group;
    int64_t *id = trm_alloc(count, sizeof *id), *entries = &of->found->entries;
    if (id == NULL)
        return trm_fail_memory(err, "a sample", count, sizeof *id);
    for (int64_t i = 0; i < count; i++)
        id[i] = drawn[i].anchor;
    trm_status status = trm_group_look(&of->view, from, count, id, &group, err);
    if (status == TRM_OK)
        status = of->kind == KNN      ? trm_knn_decide(&group, of->result, entries, err)
                 : of->kind == RADIUS ? trm_radius_decide(&group, of->result, drawn, entries, err)
                 : of->kind == EVAL   ? trm_relevant_decide(&group, of->result, entries, err)
                                      : trm_triplets_compare(&group, &of->lines, drawn, entries, err);
    trm_group_free(&group);
    trm_free(id);
    return status;
}

/* Drawn anchors [first, last). */
static trm_status decide_some(verification *of, int64_t first, int64_t last, trm_error *err)
{
    const trm_candidates from = trm_candidates_all(&of->view, of->census.most_positives);
    const int64_t most = trm_group_most(&from);
    trm_status status = TRM_OK;
    if (of->batched)
        return trm_batch_lists_decide(&of->lists, &of->lines, last - first, of->drawn + first,
                                      &of->found->entries, err);
    for (int64_t at = first; at < last && status == TRM_OK; at += most)
        status = decide_group(of, &from, last - at < most ? last - at : most, of->drawn + at, err);
    return status;
}

static trm_status decide_loss(verification *of, trm_error *err)
{
    trm_verify_found *found = of->found;
    trm_losses_undecided(of->ask, &of->view, found->why_not);
    if (found->why_not[0] != '\0')
        return TRM_OK;
    found->anchors = of->view.askers;
    trm_status status =
        trm_losses_decide(of->comm, of->ask, of->result, &of->census, &found->entries, &found->gradient, err);
    if (status == TRM_OK && !trm_result_real(of->result, "value", &found->value))
        found->value = NAN;
    return status;
}

/* A list does not say whether labels were ignored, so that it may be right and another than that of all rows. */
static trm_status decide_list(verification *of, trm_error *err)
{
    trm_verify_found *found = of->found;
    bool same = true;
    trm_status status =
        trm_agree(of->comm, trm_batch_lists_drawn(&of->lists, of->drawn_count, of->drawn, &same, err), err);
    if (status == TRM_OK && !same)
        snprintf(
            found->why_not, sizeof found->why_not,
            "batches are not those drawn of all rows, and a list does not say which labels were ignored");
    found->entries = same ? of->drawn_count : 0;
    return status;
}

/* Each rank has a part of the sample. */
static trm_status decide(verification *of, trm_error *err)
{
    int ranks = 0;
    int64_t first, last;
    trm_verify_found *found = of->found;
    const char *why = undecided(of);
    if (why != NULL) {
        snprintf(found->why_not, sizeof found->why_not, "%s", why);
        return TRM_OK;
    }
    if (of->kind == LOSS)
        return decide_loss(of, err);
    if (of->kind == LISTS)
        return decide_list(of, err);
    MPI_Comm_size(of->comm, &ranks);
    trm_share(of->drawn_count, trm_rank_of(of->comm), ranks, &first, &last);
    trm_status status = trm_agree(of->comm, decide_some(of, first, last, err), err);
    if (status != TRM_OK)
        return status;
    found->entries = trm_sum_int64(of->comm, found->entries);
    found->anchors = of->drawn_count;
    return of->gradient && of->ask->sample > 0
               ? trm_losses_of_lines(of->comm, of->ask, &of->lines, &of->census,
                                     of->batched ? &of->lists : NULL, &found->gradient, err)
               : TRM_OK;
}

/* ---- all of it ---- */

/* What the file says by itself. */
static trm_status check_lines(verification *of, trm_error *err)
{
    trm_verify_found *found = of->found;
    if (of->kind == KNN)
        return trm_knn_check(of->comm, of->result, &of->view, &found->lines, found->hash, err);
    if (of->kind == RADIUS)
        return trm_radius_check(of->comm, of->result, &of->view, of->drawn_count, of->drawn, &found->lines,
                                found->hash, err);
    if (of->kind == EVAL)
        return trm_relevant_check(of->comm, of->result, &of->view, &found->lines, found->hash, err);
    found->lines = of->kind == TRIPLETS ? of->lines.of.lines : of->batched ? of->drawn_count : 0;
    return of->kind == TRIPLETS
               ? trm_lines_check(of->comm, &of->lines, of->drawn_count, of->drawn, found->hash, err)
               : TRM_OK;
}

/* What follows from the lines of the file. */
static trm_status check_sums(verification *of, trm_error *err)
{
    if (of->kind == RADIUS)
        return trm_near_check(of->comm, of->result, &of->view, err);
    return of->kind == TRIPLETS ? trm_histograms_check(of->comm, &of->lines, err) : TRM_OK;
}

static trm_status open_all(verification *of, trm_error *err)
{
    trm_status status = trm_result_open(of->comm, of->ask->result, &of->result, err);
    if (status != TRM_OK)
        return status;
    const bool packed = trm_result_text(of->result, "packed_fingerprint") != NULL;
    snprintf(of->found->format, sizeof of->found->format, "%s", trm_result_text(of->result, "format"));
    of->kind = kind_of(of->result);
    if (of->kind == OTHER)
        return trm_agree(of->comm,
                         trm_fail(err, TRM_ERR_DATA,
                                  "result '%s': attribute 'format' is '%s', of which nothing can be verified",
                                  trm_result_path(of->result), of->found->format),
                         err);
    if (packed)
        of->kind = PACKED;
    status = trm_rule_read(of->result, &of->rule, err);
    status = trm_agree(of->comm, status == TRM_OK ? check_said_twice(of, err) : status, err);
    if (packed)
        return status;
    return status == TRM_OK ? trm_view_open(of->comm, of->ask, of->result, &of->rule, &of->view, err)
                            : status;
}

/* All of a result that is of a store. */
static trm_status verify_all(verification *of, trm_error *err)
{
    trm_status status = check_store(of, err);
    if (status == TRM_OK)
        status = look_at_file(of, err);
    if (status == TRM_OK)
        status = trm_agree(of->comm, draw(of, err), err);
    if (status == TRM_OK)
        status = check_lines(of, err);
    if (status == TRM_OK)
        status = decide(of, err);
    if (status == TRM_OK)
        status = check_sums(of, err);
    if (status == TRM_OK && of->found->hash[0] != '\0')
        status = trm_agree(of->comm,
                           check_text(of->result, "result_hash", of->found->hash, "its rows have", err), err);
    return status;
}

trm_status trm_verify(MPI_Comm comm, const trm_verify_ask *ask, trm_verify_found *found, trm_error *err)
{
    verification of = {.comm = comm, .ask = ask, .found = found};
    *found = (trm_verify_found){.value = NAN};
    trm_status status = open_all(&of, err);
    if (status == TRM_OK)
        status = of.kind == PACKED ? trm_packed_verify(comm, ask, of.result, &of.rule, found, err)
                                   : verify_all(&of, err);
    if (status == TRM_OK)
        status = trm_agree(comm, trm_result_check_unchanged(of.result, err), err);
    trm_lines_close(&of.lines);
    trm_batch_lists_close(&of.lists);
    trm_census_free(&of.census);
    trm_free(of.drawn);
    trm_view_close(&of.view);
    trm_rule_free(&of.rule);
    trm_result_close(&of.result);
    return status;
}
