/* Decided distances on their way to the query; see offer.h. */
#include "sweep/offer.h"

static trm_row row_of(const trm_tiles *tiles, const trm_side *side, int64_t row)
{
    return (trm_row){side->x + row * tiles->dim, side->norm2 + row};
}

bool trm_offer_has_lists(const trm_tiles *tiles)
{
    return tiles->relation == TRM_NOT_LISTED || tiles->relation == TRM_NOT_LISTED_OTHER_LABEL;
}

/* Offers the distances d[0..) from row of side to the other's places [from, to). */
static bool offer_all(const trm_tiles *tiles, trm_side *side, int64_t row, const trm_side *other,
                      int64_t from, int64_t to, const double *d, trm_worker *worker)
{
    if (from >= to)
        return false;
    const trm_seen seen = {.n = to - from,
                           .d = d,
                           .id = other->id + from,
                           .place = other->first + from - other->class_first[from],
                           .anchor = row_of(tiles, side, row),
                           .other = row_of(tiles, other, from)};
    return side->query->type->offer(side->query, side->state, row, &seen, worker->tally);
}

/* The row ids that are listed for a row, up to *end. */
static const int64_t *listed_of(const trm_side *side, int64_t row, const int64_t **end)
{
    const trm_query_type *type = side->query->type;
    const int64_t *offset = side->state->offset[type->shapes - 1],
                  *list = side->state->field[type->fields - 1];
    *end = list + offset[row + 1];
    return list + offset[row];
}

/* The first of row's list that is not below id, which is at this place or behind it. */
static const int64_t *first_listed(const int64_t *listed, const int64_t *end, int64_t id)
{
    while (listed < end) {
        const int64_t *middle = listed + (end - listed) / 2;
        if (*middle < id)
            listed = middle + 1;
        else
            end = middle;
    }
    return end;
}

/* Those that are not listed for row, in stretches between these. Rows by id: ids ascend. */
bool trm_offer_range(const trm_tiles *tiles, trm_side *side, int64_t row, const trm_side *other, int64_t from,
                     int64_t to, const double *d, trm_worker *worker)
{
    if (from >= to || !trm_offer_has_lists(tiles))
        return offer_all(tiles, side, row, other, from, to, d, worker);
    const int64_t *end, *list = listed_of(side, row, &end), *next = first_listed(list, end, other->id[from]);
    const bool by_label = tiles->relation == TRM_NOT_LISTED_OTHER_LABEL;
    bool changed = false;
    int64_t at = from;
    for (int64_t i = from; i < to; i++) {
        while (next < end && *next < other->id[i])
            next++;
        const bool listed = next < end && *next == other->id[i];
        if (!listed && !(by_label && other->label[i] == side->label[row]))
            continue;
        changed |= offer_all(tiles, side, row, other, at, i, d + (at - from), worker);
        at = i + 1;
    }
    return offer_all(tiles, side, row, other, at, to, d + (at - from), worker) || changed;
}

bool trm_offer_leaves_out(const trm_tiles *tiles, const trm_side *side, int64_t row, const trm_side *other,
                          int64_t place)
{
    if (tiles->relation == TRM_NOT_LISTED_OTHER_LABEL && other->label[place] == side->label[row])
        return true;
    const int64_t *end, *first = listed_of(side, row, &end),
                        *next = first_listed(first, end, other->id[place]);
    return next < end && *next == other->id[place];
}

void trm_offer_line(const trm_tiles *tiles, trm_side *side, int64_t row, const trm_side *other, int64_t first,
                    int64_t last, const double *d, trm_worker *worker)
{
    int64_t from = first, to = last;
    if (!trm_side_has_slots(side, row, row + 1))
        return;
    if (tiles->relation == TRM_SAME_LABEL || tiles->relation == TRM_OTHER_LABEL)
        trm_same_label_range(other->label, first, last, side->label[row], &from, &to);
    if (tiles->relation == TRM_OTHER_LABEL) {
        trm_offer_range(tiles, side, row, other, first, from, d, worker);
        trm_offer_range(tiles, side, row, other, to, last, d + (to - first), worker);
        return;
    }
    /* where row itself would be in the other block */
    const int64_t self = tiles->one_set ? side->first + row - other->first : -1;
    if (self >= from && self < to) {
        trm_offer_range(tiles, side, row, other, from, self, d + (from - first), worker);
        trm_offer_range(tiles, side, row, other, self + 1, to, d + (self + 1 - first), worker);
    } else {
        trm_offer_range(tiles, side, row, other, from, to, d + (from - first), worker);
    }
}
