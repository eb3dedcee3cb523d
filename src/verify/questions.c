/* Neighbours and pairs within a radius; see questions.h. */
#include "verify/questions.h"

#include "base/alloc.h"
#include "base/hash_sum.h"
#include "par/agree.h"
#include "par/exchange.h"
#include "par/merge.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

enum { PIECE_VALUES = 1 << 16 };

/* Some rows of both datasets of a result: ids and distances. */
typedef struct piece {
    trm_result *result;
    trm_result_array array[3]; /* int64, (int64,) float64 */
    int arrays;
    int64_t rows, most; /* of the datasets; that are read at a time */
    int64_t *whole[2];
    double *distance;
} piece;

static trm_status piece_open(trm_result *result, int arrays, const char *const *name, int rank, piece *of,
                             trm_error *err)
{
    trm_status status = TRM_OK;
    *of = (piece){.result = result, .arrays = arrays, .rows = -1};
    for (int a = 0; a < arrays && status == TRM_OK; a++) {
        status = trm_result_need(result, name[a], a < arrays - 1 ? TRM_ARRAY_INT64 : TRM_ARRAY_FLOAT64, rank,
                                 of->rows, &of->array[a], err);
        of->rows = of->array[a].size[0];
        if (status == TRM_OK && of->array[a].width != of->array[0].width)
            status = trm_fail(err, TRM_ERR_DATA, "result '%s': '%s' and '%s' have not the same width",
                              trm_result_path(result), name[0], name[a]);
    }
    const int64_t width = of->array[0].width;
    of->most = status == TRM_OK && width < PIECE_VALUES ? PIECE_VALUES / (width > 0 ? width : 1) : 1;
    for (int a = 0; a < 2 && status == TRM_OK; a++)
        of->whole[a] = trm_alloc(of->most * width, sizeof **of->whole);
    of->distance = status == TRM_OK ? trm_alloc(of->most * width, sizeof *of->distance) : NULL;
    if (status == TRM_OK && (of->whole[0] == NULL || of->whole[1] == NULL || of->distance == NULL))
        status = trm_fail_memory(err, "a piece of the result", of->most * width, sizeof *of->distance);
    return status;
}

static void piece_close(piece *of)
{
    trm_free(of->whole[0]);
    trm_free(of->whole[1]);
    trm_free(of->distance);
}

static trm_status piece_read(piece *of, int64_t first, int64_t count, trm_error *err)
{
    trm_status status = TRM_OK;
    for (int a = 0; a < of->arrays && status == TRM_OK; a++)
        status = trm_result_read(of->result, &of->array[a], first, count,
                                 a == of->arrays - 1 ? (void *)of->distance : (void *)of->whole[a], err);
    return status;
}

static trm_status fault(const piece *of, int array, int64_t row, trm_error *err, const char *rule)
{
    return trm_fail(err, TRM_ERR_DATA, "result '%s': '%s' row %" PRId64 ": %s", trm_result_path(of->result),
                    of->array[array].name, row, rule);
}

/* ---- knn ---- */

static const char *const knn_names[] = {"/neighbors", "/distances"};

/* A list: rows of the store by (distance, id), each once, and behind them -1 at infinity. */
static trm_status check_list(const piece *of, const trm_view *view, int64_t row, const int64_t *id,
                             const double *d, trm_hash_sum *hash, trm_error *err)
{
    const int64_t k = of->array[0].width;
    int64_t count = 0;
    for (; count < k && id[count] != -1; count++) {
        const struct {
            int64_t row, neighbour;
            double distance;
            int64_t rank;
        } one = {row, id[count], d[count], count + 1};
        if (id[count] < 0 || id[count] >= view->rows || (!view->two_sets && id[count] == row))
            return fault(of, 0, row, err, "holds a row id that can't be there");
        if (!isfinite(d[count]) || (d[count] < 0.0 && view->rule->metric != TRM_METRIC_DOT))
            return fault(of, 1, row, err, "holds what is no distance");
        if (count > 0 &&
            (d[count - 1] > d[count] || (d[count - 1] == d[count] && id[count - 1] >= id[count])))
            return fault(of, 1, row, err, "is out of order: needs ascending (distance, row id)");
        trm_hash_sum_add(hash, &one, sizeof one);
    }
    for (; count < k; count++)
        if (id[count] != -1 || d[count] != INFINITY)
            return fault(of, 0, row, err, "has something behind the end of the list");
    return TRM_OK;
}

static trm_status check_lists(piece *of, const trm_view *view, int64_t first, int64_t last,
                              trm_hash_sum *hash, trm_error *err)
{
    const int64_t k = of->array[0].width;
    trm_status status = TRM_OK;
    for (int64_t at = first; at < last && status == TRM_OK; at += of->most) {
        const int64_t count = last - at < of->most ? last - at : of->most;
        status = piece_read(of, at, count, err);
        for (int64_t i = 0; i < count && status == TRM_OK; i++)
            status = check_list(of, view, at + i, of->whole[0] + i * k, of->distance + i * k, hash, err);
    }
    return status;
}

trm_status trm_knn_check(MPI_Comm comm, trm_result *result, const trm_view *view, int64_t *lines,
                         char hash[33], trm_error *err)
{
    int ranks = 0;
    int64_t first = 0, last = 0;
    piece of;
    trm_hash_sum sum = TRM_HASH_SUM_INIT;
    MPI_Comm_size(comm, &ranks);
    trm_status status = piece_open(result, 2, knn_names, 2, &of, err);
    if (status == TRM_OK && (of.rows != view->askers || of.array[0].width != view->rule->k))
        status = trm_fail(
            err, TRM_ERR_DATA, "result '%s': '%s' is %" PRId64 " x %" PRId64 ", needs %" PRId64 " x %" PRId64,
            trm_result_path(result), knn_names[0], of.rows, of.array[0].width, view->askers, view->rule->k);
    *lines = of.rows;
    trm_share(of.rows > 0 ? of.rows : 0, trm_rank_of(comm), ranks, &first, &last);
    if (status == TRM_OK)
        status = check_lists(&of, view, first, last, &sum, err);
    piece_close(&of);
    status = trm_agree(comm, status, err);
    if (status != TRM_OK)
        return status;
    trm_merge_hash_sum(comm, &sum);
    trm_hash_sum_text(&sum, hash);
    return TRM_OK;
}

static trm_status differs(const piece *of, int array, int64_t row, int64_t place, int64_t has_id,
                          double has_d, const trm_other *needs, trm_error *err)
{
    return trm_fail(err, TRM_ERR_DATA,
                    "result '%s': '%s' row %" PRId64 ": place %" PRId64 " has row %" PRId64
                    " at %.17g; decided anew: row %" PRId64 " at %.17g",
                    trm_result_path(of->result), of->array[array].name, row, place, has_id, has_d,
                    needs != NULL ? needs->id : -1, needs != NULL ? needs->d : INFINITY);
}

static trm_status decide_list(piece *of, const trm_group *group, const trm_anchor *anchor, int64_t *entries,
                              trm_error *err)
{
    const trm_other *other = trm_anchor_negatives(group, anchor);
    trm_status status = piece_read(of, anchor->id, 1, err);
    for (int64_t i = 0; i < of->array[0].width && status == TRM_OK; i++) {
        const trm_other *needs = i < anchor->negatives ? &other[i] : NULL;
        const int64_t id = needs != NULL ? needs->id : -1;
        const double d = needs != NULL ? needs->d : INFINITY;
        if (of->whole[0][i] != id || memcmp(&of->distance[i], &d, sizeof d) != 0)
            status = differs(of, of->whole[0][i] != id ? 0 : 1, anchor->id, i, of->whole[0][i],
                             of->distance[i], needs, err);
        *entries += needs != NULL;
    }
    return status;
}

trm_status trm_knn_decide(const trm_group *group, trm_result *result, int64_t *entries, trm_error *err)
{
    piece of;
    trm_status status = piece_open(result, 2, knn_names, 2, &of, err);
    for (int64_t k = 0; k < group->count && status == TRM_OK; k++)
        status = decide_list(&of, group, &group->anchor[k], entries, err);
    piece_close(&of);
    return status;
}

/* ---- radius ---- */

static const char *const radius_names[] = {"/pairs/a", "/pairs/b", "/pairs/distance"};

typedef struct pair {
    int64_t a, b;
    double distance;
} pair;

static pair pair_at(const piece *of, int64_t i)
{
    return (pair){of->whole[0][i], of->whole[1][i], of->distance[i]};
}

static trm_status check_pair(const piece *of, const trm_view *view, int64_t line, const pair *one,
                             const pair *before, trm_error *err)
{
    if (one->a < 0 || one->a >= view->askers)
        return fault(of, 0, line, err, "is out of range");
    if (one->b < 0 || one->b >= view->rows || (!view->two_sets && one->b <= one->a))
        return fault(of, 1, line, err, "is out of range, or not the higher of both row ids");
    if (!(one->distance <= view->rule->radius))
        return fault(of, 2, line, err, "is beyond the radius");
    if (before != NULL && (before->a > one->a || (before->a == one->a && before->b >= one->b)))
        return fault(of, 0, line, err, "is out of order: needs ascending (a, b), each once");
    return TRM_OK;
}

static trm_status check_pairs(piece *of, const trm_view *view, int64_t first, int64_t last,
                              int64_t drawn_count, trm_drawn *drawn, trm_hash_sum *hash, trm_error *err)
{
    pair before = {0, 0, 0.0};
    int64_t next = 0;
    trm_status status = first > 0 && first < last ? piece_read(of, first - 1, 1, err) : TRM_OK;
    if (status == TRM_OK && first > 0 && first < last)
        before = pair_at(of, 0);
    for (int64_t at = first; at < last && status == TRM_OK; at += of->most) {
        const int64_t count = last - at < of->most ? last - at : of->most;
        status = piece_read(of, at, count, err);
        for (int64_t i = 0; i < count && status == TRM_OK; i++) {
            const pair one = pair_at(of, i);
            status = check_pair(of, view, at + i, &one, at + i > 0 ? &before : NULL, err);
            trm_hash_sum_add(hash, &one, sizeof one);
            while (next < drawn_count && drawn[next].anchor < one.a)
                next++;
            if (next < drawn_count && drawn[next].anchor == one.a) {
                drawn[next].first = at + i < drawn[next].first ? at + i : drawn[next].first;
                drawn[next].count++;
            }
            before = one;
        }
    }
    return status;
}

trm_status trm_radius_check(MPI_Comm comm, trm_result *result, const trm_view *view, int64_t drawn_count,
                            trm_drawn *drawn, int64_t *lines, char hash[33], trm_error *err)
{
    int ranks = 0;
    int64_t first = 0, last = 0;
    piece of;
    trm_result_array degree;
    trm_hash_sum sum = TRM_HASH_SUM_INIT;
    MPI_Comm_size(comm, &ranks);
    trm_status status = piece_open(result, 3, radius_names, 1, &of, err);
    if (status == TRM_OK)
        status = trm_result_need(result, "/degree", TRM_ARRAY_INT64, 1, view->askers, &degree, err);
    *lines = of.rows;
    trm_share(of.rows > 0 ? of.rows : 0, trm_rank_of(comm), ranks, &first, &last);
    if (status == TRM_OK)
        status = check_pairs(&of, view, first, last, drawn_count, drawn, &sum, err);
    piece_close(&of);
    status = trm_agree(comm, status, err);
    if (status != TRM_OK)
        return status;
    trm_drawn_merge(comm, drawn_count, drawn);
    trm_merge_hash_sum(comm, &sum);
    trm_hash_sum_text(&sum, hash);
    return TRM_OK;
}

/* The rows within the radius by id; how many are there in all. */
static int64_t within(const trm_group *group, const trm_anchor *anchor, trm_other *other, int64_t *pairs)
{
    const trm_view *view = group->view;
    int64_t near = 0;
    while (near < anchor->negatives && other[near].d <= view->rule->radius)
        near++;
    trm_other_sort(other, near, trm_other_by_id);
    for (*pairs = 0; *pairs < near && (view->two_sets || other[near - 1 - *pairs].id > anchor->id); ++*pairs)
        ;
    return near;
}

static trm_status check_degree(trm_result *result, const trm_anchor *anchor, int64_t near, trm_error *err)
{
    trm_result_array array;
    int64_t degree = 0;
    const int64_t needs = anchor->ignored ? -1 : near;
    trm_status status = trm_result_need(result, "/degree", TRM_ARRAY_INT64, 1, -1, &array, err);
    if (status == TRM_OK)
        status = trm_result_read(result, &array, anchor->id, 1, &degree, err);
    if (status == TRM_OK && degree != needs)
        status = trm_fail(err, TRM_ERR_DATA,
                          "result '%s': '/degree' row %" PRId64 ": %" PRId64 "; decided anew: %" PRId64,
                          trm_result_path(result), anchor->id, degree, needs);
    return status;
}

static trm_status decide_pairs(piece *of, const trm_group *group, const trm_anchor *anchor,
                               const trm_drawn *drawn, int64_t *entries, trm_error *err)
{
    int64_t pairs = 0;
    trm_other *other = trm_anchor_negatives(group, anchor);
    const int64_t near = within(group, anchor, other, &pairs);
    trm_status status = check_degree(of->result, anchor, near, err);
    for (int64_t i = 0; i < drawn->count && status == TRM_OK; i++) {
        const trm_other *needs = i < pairs ? &other[near - pairs + i] : NULL;
        if (i % of->most == 0)
            status = piece_read(of, drawn->first + i,
                                drawn->count - i < of->most ? drawn->count - i : of->most, err);
        if (status != TRM_OK)
            break;
        const pair one = pair_at(of, i % of->most);
        if (needs == NULL || one.b != needs->id || memcmp(&one.distance, &needs->d, sizeof needs->d) != 0)
            status = differs(of, needs != NULL && one.b == needs->id ? 2 : 1, drawn->first + i, i, one.b,
                             one.distance, needs, err);
        ++*entries;
    }
    if (status == TRM_OK && drawn->count < pairs)
        status = trm_fail(err, TRM_ERR_DATA,
                          "result '%s': '/pairs' has %" PRId64 " pairs of row %" PRId64
                          " with a higher one; decided anew: %" PRId64,
                          trm_result_path(of->result), drawn->count, anchor->id, pairs);
    return status;
}

trm_status trm_radius_decide(const trm_group *group, trm_result *result, const trm_drawn *drawn,
                             int64_t *entries, trm_error *err)
{
    piece of;
    trm_status status = piece_open(result, 3, radius_names, 1, &of, err);
    for (int64_t k = 0; k < group->count && status == TRM_OK; k++)
        status = decide_pairs(&of, group, &group->anchor[k], &drawn[k], entries, err);
    piece_close(&of);
    return status;
}
