/* What a sweep is asked: a query keeps, for every anchor, what it found so far, and says which distances could
 * still matter. The sweep knows no miner; a query knows no tiles, threads or ranks.
 *
 * A query is one constant object in a file of its own (trm_query_type) and its settings. What an anchor owns
 * is in fields: arrays over a block of rows, so that they can travel with the rows, come home, be merged in a
 * team and be kept in a checkpoint. Each field has a shape (how many slots an anchor has) and, where it is
 * found by the sweep, a merge that does not depend on order. */
#ifndef TRM_SWEEP_QUERY_H
#define TRM_SWEEP_QUERY_H

#include "base/candidate.h"
#include "base/error.h"
#include "base/merge.h"

#include <stdbool.h>
#include <stdint.h>

enum { TRM_FIELDS = 7, TRM_SHAPES = 6, TRM_TALLY_WORDS = 68 };

/* Which rows an anchor is asked about; never itself. */
typedef enum trm_relation {
    TRM_SAME_LABEL,
    TRM_OTHER_LABEL,
    TRM_ANY_OTHER,
    TRM_NOT_LISTED,            /* those whose row ids are not in the list of the anchor; rows by id only */
    TRM_NOT_LISTED_OTHER_LABEL /* and of another label, too */
} trm_relation;
enum { TRM_RELATIONS = TRM_NOT_LISTED_OTHER_LABEL + 1 };

typedef enum trm_field_kind {
    TRM_FIELD_FOUND, /* by the sweep: goes out with the rows, comes home, is merged */
    TRM_FIELD_GIVEN, /* known beforehand (thresholds): goes out */
    TRM_FIELD_MADE   /* from the others, by prepare, wherever the rows are */
} trm_field_kind;

typedef struct trm_field {
    const char *name; /* also in a checkpoint */
    trm_field_kind kind;
    int shape;
    size_t bytes;           /* of a slot; whole words of 8 unless it is made */
    const trm_merge *merge; /* of what is found; else NULL */
} trm_field;

typedef struct trm_query_type trm_query_type;

/* The fields of a block of rows. Row i owns slots [offset[s][i], offset[s][i + 1]) of each field of shape s. A
 * row without slots of shape 0 is no anchor. */
typedef struct trm_state {
    const trm_query_type *type;
    int64_t rows;
    const int64_t *id, *label;   /* of the rows; borrowed from the block */
    int64_t *offset[TRM_SHAPES]; /* rows + 1 each */
    void *field[TRM_FIELDS];
} trm_state;

typedef struct trm_query {
    const trm_query_type *type;
    const void *settings; /* the type's own */
} trm_query;

/* A row, or consecutive ones, as the metric takes them. */
typedef struct trm_row {
    const float *x;
    const double *norm2;
} trm_row;

/* n exact distances from an anchor to other rows, and the rows themselves for who needs more than that. */
typedef struct trm_seen {
    int64_t n;
    const double *d;
    const int64_t *id;
    int64_t place;         /* of the first in the anchor's class, the others follow; TRM_SAME_LABEL only */
    trm_row anchor, other; /* other: the first of n, the others follow */
} trm_seen;

/* The rows that there are for an anchor. */
typedef struct trm_there {
    int64_t positives; /* that it could be paired with */
    int64_t places; /* in a list of all of these: of one set the anchor itself has one, which stays empty */
    int64_t negatives;
} trm_there;

struct trm_query_type {
    const char *name;
    trm_relation relation;
    bool
        listed; /* the last field, of the last shape, is the anchor's list of row ids (int64), ascending: given */
    bool every_pair; /* all distances matter: no filter, all in float64 */
    int shapes, fields;
    trm_field field[TRM_FIELDS];
    int tally; /* words of whole numbers that a thread counts in, at most TRM_TALLY_WORDS */

    /* Slots of a shape that an anchor needs for which there are so many rows, and with so many pairs. */
    int64_t (*slots)(const trm_query *query, int shape, trm_there there, int64_t pairs);
    /* Fills in the GIVEN fields of a row from its pairs: the positives by ascending (d, id). NULL for a query
     * without. */
    void (*give)(const trm_query *query, trm_state *state, int64_t row, const trm_candidate *pair,
                 int64_t pairs);

    /* Makes the MADE fields of a row; NULL for a query without. Called for every row before a sweep, and for a
     * visiting shard's rows when it comes. */
    void (*prepare)(const trm_query *query, trm_state *state, int64_t row);
    /* The distances the row still cares about: lo <= d <= hi, or lo > hi for none. May be wider than the
     * truth. */
    void (*window)(const trm_query *query, const trm_state *state, int64_t row, double *lo, double *hi);
    /* Could a distance known to be in [lo, hi] change the row's state or the tally? May say yes wrongly, never no.
     * NULL: whatever meets the window may, for a query that knows no better. */
    bool (*wants)(const trm_query *query, const trm_state *state, int64_t row, double lo, double hi);
    /* Of the distances beyond `from` the row keeps so many of the nearest: one that has as many nearer ones, all of them
     * beyond `from`, changes nothing, whatever was found so far. 0: that can't be told. By what is given alone,
     * which no thread moves. NULL: it can't be told of any row. */
    int64_t (*keeps)(const trm_query *query, const trm_state *state, int64_t row, double *from);
    bool keeps_farthest; /* of -d instead: the farthest, nearer than -from */
    /* Takes distances from the row. tally: this thread's. Whether the row's window may have moved. */
    bool (*offer)(const trm_query *query, trm_state *state, int64_t row, const trm_seen *seen,
                  int64_t *tally);
    /* Turns what is complete into answers, in place; NULL where it is answers as it stands. scratch: of a
     * query for positives, room for as many candidates as the row has slots of shape 0; else NULL. */
    void (*settle)(const trm_query *query, trm_state *state, int64_t row, trm_candidate *scratch);
};

/* The window of a query to which every distance matters. */
void trm_query_all_window(const trm_query *query, const trm_state *state, int64_t row, double *lo,
                          double *hi);
/* What a query's wants says of the row, or its window where it has none. */
bool trm_query_wants(const trm_query *query, const trm_state *state, int64_t row, double lo, double hi);

/* May a pair be offered to a query twice, because nothing is counted? */
bool trm_query_may_repeat(const trm_query_type *type);

/* A state for rows, of which nothing is found yet: room for the offsets and the fields that are given. offset:
 * one table a shape, rows + 1 each, copied. id and label: borrowed until the state is destroyed. Errors:
 * MEMORY. */
trm_status trm_state_create(const trm_query_type *type, int64_t rows, const int64_t *id, const int64_t *label,
                            const int64_t *const *offset, trm_state **state, trm_error *err) TRM_MUST_CHECK;
/* Makes room for the fields that are made and found, and clears those. Errors: MEMORY. */
trm_status trm_state_ask(trm_state *state, trm_error *err) TRM_MUST_CHECK;
void trm_state_destroy(trm_state **state);

static inline int64_t trm_state_slots(const trm_state *state, int field)
{
    return state->offset[state->type->field[field].shape][state->rows];
}

static inline int64_t trm_state_first(const trm_state *state, int shape, int64_t row)
{
    return state->offset[shape][row];
}

static inline int64_t trm_state_count(const trm_state *state, int shape, int64_t row)
{
    return state->offset[shape][row + 1] - state->offset[shape][row];
}

/* Merges what was found elsewhere for the same rows. */
void trm_state_merge(trm_state *into, const trm_state *from);
/* Clears what was found; only_counted: but for what may be merged twice. */
void trm_state_clear(trm_state *state, bool only_counted);

/* ---- a state as one message: offsets, what is given, what was found ---- */

/* Bytes of a message of rows with so many slots of each shape; what was found is its last part. */
int64_t trm_state_message_bytes(const trm_query_type *type, int64_t rows, const int64_t *slots);
/* Copies the state into a message; what may not be merged twice as cleared. */
void trm_state_pack(const trm_state *state, void *message);
/* A state whose arrays are in the message; those that are made are in made, which may be NULL. */
trm_state trm_state_view(const trm_query_type *type, int64_t rows, const int64_t *id, const int64_t *label,
                         const int64_t *slots, void *message, void *made);
/* The same of what was found alone, with the offsets of other: a homecoming. */
trm_state trm_state_view_found(const trm_state *other, void *found);
/* Bytes of all fields of a kind, for so many slots of each shape. */
int64_t trm_fields_bytes(const trm_query_type *type, trm_field_kind kind, const int64_t *slots);

#endif
