/* What lines say by themselves; see lines.h. Ranks share out the lines, and each reads the one before its own. */
#include "verify/lines.h"

#include "base/alloc.h"
#include "base/hash_sum.h"
#include "par/agree.h"
#include "par/exchange.h"
#include "par/merge.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

trm_status trm_lines_fault(const trm_lines *lines, trm_form_column column, int64_t line, trm_error *err,
                           const char *format, ...)
{
    char text[TRM_ERROR_TEXT / 2];
    const char *path = trm_form_path(lines->of.form, column);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return trm_fail(err, TRM_ERR_DATA, "result '%s': '%s' row %" PRId64 ": %s",
                    trm_result_path(lines->of.result), path != NULL ? path : trm_form_name(lines->of.form),
                    line, text);
}

/* ---- opening and reading ---- */

trm_status trm_lines_open(trm_result *result, const trm_view *view, trm_lines *lines, trm_error *err)
{
    *lines = (trm_lines){.view = view};
    trm_status status = trm_result_lines_open(result, &lines->of, err);
    if (status == TRM_OK && lines->of.form == TRM_FORM_TRIPLETS && !lines->of.batched)
        status = trm_result_need(result, "/triplets/anchor_start", TRM_ARRAY_INT64, 1, view->askers + 1,
                                 &lines->starts, err);
    return status;
}

void trm_lines_close(trm_lines *lines)
{
    trm_result_lines_close(&lines->of);
}

/* Lists have no column for the kind: it follows from the rule. */
trm_status trm_lines_read(trm_lines *lines, int64_t first, int64_t count, trm_error *err)
{
    const trm_rule *rule = lines->view->rule;
    trm_status status = trm_result_lines_read(&lines->of, first, count, err);
    const bool completes = lines->of.form == TRM_FORM_LISTS && trm_rule_is(rule->negatives, "semihard");
    for (int64_t i = 0; i < lines->of.lined_count && status == TRM_OK && completes; i++) {
        trm_triplet *t = &lines->of.lined[i].triplet;
        t->kind = !(t->d_an > t->d_ap && trm_rule_in_window(rule, t->d_ap, t->d_an));
    }
    return status;
}

trm_status trm_lines_walk(MPI_Comm comm, trm_lines *lines, trm_line_visit *visit, void *context,
                          trm_error *err)
{
    int ranks = 0;
    int64_t first, last;
    trm_status status = TRM_OK;
    MPI_Comm_size(comm, &ranks);
    trm_share(lines->of.lines, trm_rank_of(comm), ranks, &first, &last);
    for (int64_t at = first; at < last && status == TRM_OK; at += lines->of.piece) {
        status = trm_lines_read(lines, at, last - at < lines->of.piece ? last - at : lines->of.piece, err);
        for (int64_t i = 0; i < lines->of.lined_count && status == TRM_OK; i++)
            status = visit(context, &lines->of.lined[i].triplet, err);
    }
    return status;
}

/* ---- one triplet ---- */

static bool in_range(int64_t row, int64_t rows)
{
    return row >= 0 && row < rows;
}

static trm_status check_rows(const trm_lines *lines, const trm_lined *one, trm_error *err)
{
    const trm_view *view = lines->view;
    const trm_triplet *t = &one->triplet;
    const bool lone = view->rule->lone && t->positive == -1, one_set = !view->two_sets;
    if (!in_range(t->anchor, view->askers))
        return trm_lines_fault(lines, TRM_COLUMN_ANCHOR, one->line, err,
                               "%" PRId64 " is out of range, there are %" PRId64 " rows", t->anchor,
                               view->askers);
    if (!lone && (!in_range(t->positive, view->rows) || (one_set && t->positive == t->anchor)))
        return trm_lines_fault(lines, TRM_COLUMN_POSITIVE, one->line, err,
                               "%" PRId64 " can't be a positive of anchor %" PRId64 ", of %" PRId64 " rows",
                               t->positive, t->anchor, view->rows);
    if (!in_range(t->negative, view->rows) || (one_set && t->negative == t->anchor) ||
        t->negative == t->positive)
        return trm_lines_fault(lines, TRM_COLUMN_NEGATIVE, one->line, err,
                               "%" PRId64 " can't be a negative of anchor %" PRId64 ", of %" PRId64 " rows",
                               t->negative, t->anchor, view->rows);
    if (lines->of.batched && !in_range(one->batch, lines->of.batches))
        return trm_lines_fault(lines, TRM_COLUMN_ANCHOR, one->line, err,
                               "is of batch %" PRId64 ", there are %" PRId64, one->batch, lines->of.batches);
    return TRM_OK;
}

static bool is_distance(const trm_rule *rule, double d)
{
    return isfinite(d) && (d >= 0.0 || rule->metric == TRM_METRIC_DOT);
}

static trm_status check_values(const trm_lines *lines, const trm_lined *one, trm_error *err)
{
    const trm_rule *rule = lines->view->rule;
    const trm_triplet *t = &one->triplet;
    const int64_t most = trm_rule_most(rule);
    if (!is_distance(rule, t->d_ap) || (t->positive == -1 && t->d_ap != 0.0))
        return trm_lines_fault(lines, TRM_COLUMN_D_AP, one->line, err, "%.17g is no distance here", t->d_ap);
    if (!is_distance(rule, t->d_an))
        return trm_lines_fault(lines, TRM_COLUMN_D_AN, one->line, err, "%.17g is no distance here", t->d_an);
    if (t->rank < 1 || (most > 0 && t->rank > most))
        return trm_lines_fault(lines, TRM_COLUMN_RANK, one->line, err,
                               "%" PRId64 " is no rank, a pair has %" PRId64 " negatives at most", t->rank,
                               most);
    return TRM_OK;
}

/* Semihard negatives are farther than the positive and inside the window; what is neither came from a fallback. */
static trm_status check_kind(const trm_lines *lines, const trm_lined *one, trm_error *err)
{
    const trm_rule *rule = lines->view->rule;
    const trm_triplet *t = &one->triplet;
    const bool by_kind = trm_rule_is(rule->negatives, "semihard"),
               inside = t->d_an > t->d_ap && trm_rule_in_window(rule, t->d_ap, t->d_an),
               fallback = !trm_rule_is(rule->fallback, "skip");
    if (t->kind < 0 || t->kind > 1 || (t->kind == 1 && (!by_kind || !fallback)))
        return trm_lines_fault(
            lines, lines->of.form == TRM_FORM_LISTS ? TRM_COLUMN_D_AN : TRM_COLUMN_KIND, one->line, err,
            lines->of.form == TRM_FORM_LISTS ? "is not semihard, and there is no fallback"
                                             : "there is no fallback that this could come from");
    if (by_kind && (t->kind == 0) != inside)
        return trm_lines_fault(
            lines, TRM_COLUMN_D_AN, one->line, err, "%.17g is %s semihard at d_ap %.17g (--window %s)",
            t->d_an, inside ? "inside the window, yet said to be not" : "not", t->d_ap, rule->window);
    if (t->kind == 1 && trm_rule_is(rule->fallback, "farthest-inside") && t->d_an > t->d_ap)
        return trm_lines_fault(lines, TRM_COLUMN_D_AN, one->line, err,
                               "%.17g is farther than the positive (--fallback farthest-inside)", t->d_an);
    return TRM_OK;
}

static int compare(int64_t a, int64_t b)
{
    return a < b ? -1 : a > b;
}

/* Triplets are in the order of (batch, anchor, positive, negative), lists of (batch, anchor, positive) and in a line of ranks; none is
 * there twice. */
static trm_status check_order(const trm_lines *lines, const trm_lined *one, const trm_lined *before,
                              trm_error *err)
{
    const bool lists = lines->of.form == TRM_FORM_LISTS, same = lists && before->line == one->line,
               by_distance = trm_rule_is(lines->view->rule->negatives, "topk");
    int order = compare(before->batch, one->batch);
    order = order != 0 ? order : compare(before->triplet.anchor, one->triplet.anchor);
    order = order != 0 ? order : compare(before->triplet.positive, one->triplet.positive);
    if (order == 0 && !lists)
        order = compare(before->triplet.negative, one->triplet.negative);
    if (!same && order >= 0)
        return trm_lines_fault(lines, TRM_COLUMN_ANCHOR, one->line, err,
                               "is out of order: needs ascending (%sanchor, positive%s), each once",
                               lines->of.batched ? "batch, " : "", lists ? "" : ", negative");
    if (same && by_distance && before->triplet.d_an > one->triplet.d_an)
        return trm_lines_fault(lines, TRM_COLUMN_D_AN, one->line, err,
                               "is out of order: needs ascending distances");
    return TRM_OK;
}

/* ---- all of them ---- */

/* The state of a walk over this rank's lines. */
typedef struct looking {
    trm_lines *lines;
    trm_hash_sum hash;
    trm_lined before; /* line -1: there is none */
    trm_drawn *drawn;
    int64_t drawn_count, next; /* next: drawn anchors below the one at hand are done with */
} looking;

enum { STARTS = 4096 };

/* Entries [from, to) of anchor_start are all line. */
static trm_status check_starts(const trm_lines *lines, int64_t from, int64_t to, int64_t line, trm_error *err)
{
    int64_t start[STARTS];
    trm_status status = TRM_OK;
    for (int64_t at = from; at < to && status == TRM_OK; at += STARTS) {
        const int64_t count = to - at < STARTS ? to - at : STARTS;
        status = trm_result_read(lines->of.result, &lines->starts, at, count, start, err);
        for (int64_t i = 0; i < count && status == TRM_OK; i++)
            if (start[i] != line)
                status = trm_fail(err, TRM_ERR_DATA,
                                  "result '%s': '%s' row %" PRId64 ": %" PRId64
                                  ", but the triplets of anchor %" PRId64 " begin at %" PRId64,
                                  trm_result_path(lines->of.result), lines->starts.name, at + i, start[i],
                                  at + i, line);
    }
    return status;
}

static bool has_starts(const trm_lines *lines)
{
    return lines->starts.name != NULL;
}

/* Where a drawn anchor is, beside a line. */
static int beside(const trm_drawn *drawn, const trm_lined *one)
{
    const int order = compare(drawn->batch, one->batch);
    return order != 0 ? order : compare(drawn->anchor, one->triplet.anchor);
}

/* Notes lines of drawn anchors. */
static void note_drawn(looking *walk, const trm_lined *one)
{
    while (walk->next < walk->drawn_count && beside(&walk->drawn[walk->next], one) < 0)
        walk->next++;
    if (walk->next == walk->drawn_count || beside(&walk->drawn[walk->next], one) != 0)
        return;
    trm_drawn *drawn = &walk->drawn[walk->next];
    drawn->first = one->line < drawn->first ? one->line : drawn->first;
    drawn->count += walk->before.line != one->line;
}

static trm_status check_one(looking *walk, const trm_lined *one, trm_error *err)
{
    const trm_lines *lines = walk->lines;
    const int64_t before = walk->before.line < 0 ? -1 : walk->before.triplet.anchor;
    trm_status status = check_rows(lines, one, err);
    if (status == TRM_OK && walk->before.line >= 0)
        status = check_order(lines, one, &walk->before, err);
    if (status == TRM_OK)
        status = check_values(lines, one, err);
    if (status == TRM_OK)
        status = check_kind(lines, one, err);
    if (status == TRM_OK && has_starts(lines) && one->triplet.anchor != before)
        status = check_starts(lines, before + 1, one->triplet.anchor + 1, one->line, err);
    if (status != TRM_OK)
        return status;
    if (lines->of.batched)
        trm_hash_sum_add_keyed(&walk->hash, one->batch, &one->triplet, offsetof(trm_triplet, rank));
    else
        trm_hash_sum_add(&walk->hash, &one->triplet, offsetof(trm_triplet, rank));
    note_drawn(walk, one);
    walk->before = *one;
    return TRM_OK;
}

static trm_status check_share(looking *walk, int64_t first, int64_t last, trm_error *err)
{
    trm_lines *lines = walk->lines;
    trm_status status = TRM_OK;
    if (first > 0 && first < last) {
        status = trm_lines_read(lines, first - 1, 1, err);
        if (status == TRM_OK)
            walk->before = lines->of.lined[lines->of.lined_count - 1];
    }
    for (int64_t at = first; at < last && status == TRM_OK; at += lines->of.piece) {
        const int64_t count = last - at < lines->of.piece ? last - at : lines->of.piece;
        status = trm_lines_read(lines, at, count, err);
        for (int64_t i = 0; i < lines->of.lined_count && status == TRM_OK; i++)
            status = check_one(walk, &lines->of.lined[i], err);
    }
    if (status == TRM_OK && has_starts(lines) && last == lines->of.lines && (first < last || first == 0))
        status = check_starts(lines, walk->before.line < 0 ? 0 : walk->before.triplet.anchor + 1,
                              lines->view->askers + 1, lines->of.lines, err);
    return status;
}

void trm_drawn_merge(MPI_Comm comm, int64_t count, trm_drawn *drawn)
{
    for (int64_t i = 0; i < count; i++) {
        MPI_Allreduce(MPI_IN_PLACE, &drawn[i].first, 1, MPI_INT64_T, MPI_MIN, comm);
        MPI_Allreduce(MPI_IN_PLACE, &drawn[i].count, 1, MPI_INT64_T, MPI_SUM, comm);
    }
}

trm_status trm_lines_check(MPI_Comm comm, trm_lines *lines, int64_t drawn_count, trm_drawn *drawn,
                           char hash[33], trm_error *err)
{
    int ranks = 0;
    int64_t first, last;
    looking walk = {.lines = lines,
                    .hash = TRM_HASH_SUM_INIT,
                    .before = {.line = -1},
                    .drawn = drawn,
                    .drawn_count = drawn_count};
    MPI_Comm_size(comm, &ranks);
    trm_share(lines->of.lines, trm_rank_of(comm), ranks, &first, &last);
    trm_status status = trm_agree(comm, check_share(&walk, first, last, err), err);
    if (status != TRM_OK)
        return status;
    trm_drawn_merge(comm, drawn_count, drawn);
    trm_merge_hash_sum(comm, &walk.hash);
    trm_hash_sum_text(&walk.hash, hash);
    return TRM_OK;
}
