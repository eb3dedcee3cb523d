/* Triplets of drawn anchors, decided anew, beside the lines of the result; see compare.h. */
#include "verify/compare.h"

#include "verify/triplets.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---- one triplet ---- */

/* The triplets of an anchor in the file, one after the other. */
typedef struct cursor {
    trm_lines *lines;
    trm_drawn left;
    int64_t at, compared;
} cursor;

/* *one: NULL at the end; else borrowed until the next. */
static trm_status next_line(cursor *from, const trm_lined **one, trm_error *err)
{
    trm_lines *lines = from->lines;
    *one = NULL;
    if (from->at == lines->of.lined_count) {
        if (from->left.count == 0)
            return TRM_OK;
        const int64_t count = from->left.count < lines->of.piece ? from->left.count : lines->of.piece;
        trm_status status = trm_lines_read(lines, from->left.first, count, err);
        if (status != TRM_OK)
            return status;
        from->left.first += count;
        from->left.count -= count;
        from->at = 0;
    }
    *one = &lines->of.lined[from->at++];
    return TRM_OK;
}

/* The first of a triplet's values that differs; TRM_COLUMNS: none. Distances are compared as they are, bit for bit. */
static trm_form_column differs(const trm_triplet *a, const trm_triplet *b)
{
    return a->positive != b->positive                        ? TRM_COLUMN_POSITIVE
           : a->negative != b->negative                      ? TRM_COLUMN_NEGATIVE
           : memcmp(&a->d_ap, &b->d_ap, sizeof a->d_ap) != 0 ? TRM_COLUMN_D_AP
           : memcmp(&a->d_an, &b->d_an, sizeof a->d_an) != 0 ? TRM_COLUMN_D_AN
           : a->kind != b->kind                              ? TRM_COLUMN_KIND
           : a->rank != b->rank                              ? TRM_COLUMN_RANK
                                                             : TRM_COLUMNS;
}

enum { SHOWN = 160 };
static const char *show(const trm_triplet *t, char text[SHOWN])
{
    snprintf(text, SHOWN,
             "positive %" PRId64 ", negative %" PRId64 ", d_ap %.17g, d_an %.17g, %srank %" PRId64,
             t->positive, t->negative, t->d_ap, t->d_an, t->kind == TRM_KIND_FALLBACK ? "fallback, " : "",
             t->rank);
    return text;
}

/* Of trm_taker. */
static trm_status compare(void *context, const trm_triplet *right, trm_error *err)
{
    cursor *from = context;
    const trm_lined *one;
    char has[SHOWN], needs[SHOWN];
    const int64_t behind = from->left.first;
    from->compared++;
    trm_status status = next_line(from, &one, err);
    if (status != TRM_OK)
        return status;
    if (one == NULL)
        return trm_lines_fault(from->lines, TRM_COLUMN_ANCHOR, behind, err,
                               "anchor %" PRId64 " has no more, decided anew: %s", right->anchor,
                               show(right, needs));
    const trm_form_column column = differs(&one->triplet, right);
    return column == TRM_COLUMNS
               ? TRM_OK
               : trm_lines_fault(from->lines, column, one->line, err,
                                 "anchor %" PRId64 " has %s; decided anew: %s", right->anchor,
                                 show(&one->triplet, has), show(right, needs));
}

/* ---- an anchor ---- */

/* Lists are in the order of ranks, triplets in that of row ids. */
static trm_status decide(const trm_group *group, const trm_anchor *anchor, trm_lines *lines,
                         const trm_drawn *drawn, int64_t *entries, trm_error *err)
{
    const trm_lined *one = NULL;
    char has[SHOWN];
    cursor from = {lines, *drawn, 0, 0};
    const trm_taker to = {&from, compare};
    lines->of.lined_count = 0;
    trm_status status = trm_triplets_of(group, anchor, lines->of.form == TRM_FORM_LISTS, &to, err);
    *entries += from.compared;
    if (status == TRM_OK)
        status = next_line(&from, &one, err);
    return status != TRM_OK || one == NULL
               ? status
               : trm_lines_fault(lines, TRM_COLUMN_ANCHOR, one->line, err,
                                 "anchor %" PRId64 " has %s; decided anew: it has no such triplet",
                                 anchor->id, show(&one->triplet, has));
}

trm_status trm_triplets_compare(const trm_group *group, trm_lines *lines, const trm_drawn *drawn,
                                int64_t *entries, trm_error *err)
{
    trm_status status = TRM_OK;
    for (int64_t k = 0; k < group->count && status == TRM_OK; k++)
        status = decide(group, &group->anchor[k], lines, &drawn[k], entries, err);
    return status;
}
