/* States of a query, and how they travel; see query.h. */
#include "base/alloc.h"
#include "sweep/query.h"

#include <string.h>

void trm_query_all_window(const trm_query *query, const trm_state *state, int64_t row, double *lo, double *hi)
{
    (void)query;
    (void)state;
    (void)row;
    *lo = -INFINITY;
    *hi = INFINITY;
}

bool trm_query_wants(const trm_query *query, const trm_state *state, int64_t row, double lo, double hi)
{
    double from, to;
    if (query->type->wants != NULL)
        return query->type->wants(query, state, row, lo, hi);
    query->type->window(query, state, row, &from, &to);
    return !(lo > to) && !(hi < from); /* what can't be compared is wanted */
}

bool trm_query_may_repeat(const trm_query_type *type)
{
    bool may = type->tally == 0;
    for (int f = 0; f < type->fields; f++)
        may = may && (type->field[f].merge == NULL || type->field[f].merge->idempotent);
    return may;
}

static trm_status add_field(trm_state *state, int field, trm_error *err)
{
    const trm_field *of = &state->type->field[field];
    const int64_t slots = trm_state_slots(state, field);
    trm_free(state->field[field]);
    state->field[field] = trm_alloc(slots, of->bytes);
    if (state->field[field] == NULL)
        return trm_fail_memory(err, of->name, slots, of->bytes);
    return TRM_OK;
}

trm_status trm_state_create(const trm_query_type *type, int64_t rows, const int64_t *id, const int64_t *label,
                            const int64_t *const *offset, trm_state **result, trm_error *err)
{
    trm_state *state = trm_alloc_zero(1, sizeof *state);
    trm_status status = TRM_OK;
    *result = NULL;
    if (state == NULL)
        return trm_fail_memory(err, "state", 1, sizeof *state);
    state->type = type;
    state->rows = rows;
    state->id = id;
    state->label = label;
    for (int s = 0; s < type->shapes && status == TRM_OK; s++) {
        state->offset[s] = trm_alloc(rows + 1, sizeof *state->offset[s]);
        if (state->offset[s] == NULL)
            status = trm_fail_memory(err, "state", rows + 1, sizeof *state->offset[s]);
        else
            memcpy(state->offset[s], offset[s], (size_t)(rows + 1) * sizeof *state->offset[s]);
    }
    for (int f = 0; f < type->fields && status == TRM_OK; f++)
        if (type->field[f].kind == TRM_FIELD_GIVEN) {
            status = add_field(state, f, err);
            if (status == TRM_OK && trm_state_slots(state, f) > 0)
                memset(state->field[f], 0, (size_t)trm_state_slots(state, f) * type->field[f].bytes);
        }
    if (status != TRM_OK)
        trm_state_destroy(&state);
    *result = state;
    return status;
}

trm_status trm_state_ask(trm_state *state, trm_error *err)
{
    trm_status status = TRM_OK;
    for (int f = 0; f < state->type->fields && status == TRM_OK; f++)
        if (state->type->field[f].kind != TRM_FIELD_GIVEN)
            status = add_field(state, f, err);
    if (status == TRM_OK)
        trm_state_clear(state, false);
    return status;
}

void trm_state_destroy(trm_state **state)
{
    if (*state == NULL)
        return;
    for (int s = 0; s < TRM_SHAPES; s++)
        trm_free((*state)->offset[s]);
    for (int f = 0; f < TRM_FIELDS; f++)
        trm_free((*state)->field[f]);
    trm_free(*state);
    *state = NULL;
}

void trm_state_merge(trm_state *into, const trm_state *from)
{
    for (int f = 0; f < into->type->fields; f++) {
        const trm_field *of = &into->type->field[f];
        if (of->kind == TRM_FIELD_FOUND)
            of->merge->merge(into->field[f], from->field[f], into->rows, into->offset[of->shape]);
    }
}

void trm_state_clear(trm_state *state, bool only_counted)
{
    for (int f = 0; f < state->type->fields; f++) {
        const trm_field *of = &state->type->field[f];
        if (of->kind == TRM_FIELD_FOUND && !(only_counted && of->merge->idempotent))
            of->merge->clear(state->field[f], trm_state_slots(state, f));
    }
}

int64_t trm_fields_bytes(const trm_query_type *type, trm_field_kind kind, const int64_t *slots)
{
    int64_t bytes = 0;
    for (int f = 0; f < type->fields; f++)
        if (type->field[f].kind == kind)
            bytes += slots[type->field[f].shape] * (int64_t)type->field[f].bytes;
    return bytes;
}

int64_t trm_state_message_bytes(const trm_query_type *type, int64_t rows, const int64_t *slots)
{
    return type->shapes * (rows + 1) * (int64_t)sizeof(int64_t) +
           trm_fields_bytes(type, TRM_FIELD_GIVEN, slots) + trm_fields_bytes(type, TRM_FIELD_FOUND, slots);
}

/* Points the fields of a kind into memory, one after the other; returns where they end. */
static char *lay_fields(trm_state *state, trm_field_kind kind, const int64_t *slots, char *at)
{
    for (int f = 0; f < state->type->fields; f++) {
        const trm_field *of = &state->type->field[f];
        if (of->kind != kind)
            continue;
        state->field[f] = at;
        if (at != NULL)
            at += slots[of->shape] * (int64_t)of->bytes;
    }
    return at;
}

trm_state trm_state_view(const trm_query_type *type, int64_t rows, const int64_t *id, const int64_t *label,
                         const int64_t *slots, void *message, void *made)
{
    trm_state state = {.type = type, .rows = rows, .id = id, .label = label};
    char *at = message;
    for (int s = 0; s < type->shapes; s++) {
        state.offset[s] = (int64_t *)(void *)at;
        at += (rows + 1) * (int64_t)sizeof(int64_t);
    }
    at = lay_fields(&state, TRM_FIELD_GIVEN, slots, at);
    lay_fields(&state, TRM_FIELD_FOUND, slots, at);
    lay_fields(&state, TRM_FIELD_MADE, slots, made);
    return state;
}

static void slots_of(const trm_state *state, int64_t slots[TRM_SHAPES])
{
    for (int s = 0; s < state->type->shapes; s++)
        slots[s] = state->offset[s][state->rows];
}

trm_state trm_state_view_found(const trm_state *other, void *found)
{
    int64_t slots[TRM_SHAPES] = {0};
    trm_state state = *other;
    slots_of(other, slots);
    lay_fields(&state, TRM_FIELD_FOUND, slots, found);
    return state;
}

void trm_state_pack(const trm_state *state, void *message)
{
    int64_t slots[TRM_SHAPES] = {0};
    slots_of(state, slots);
    trm_state packed =
        trm_state_view(state->type, state->rows, state->id, state->label, slots, message, NULL);
    for (int s = 0; s < state->type->shapes; s++)
        memcpy(packed.offset[s], state->offset[s], (size_t)(state->rows + 1) * sizeof(int64_t));
    for (int f = 0; f < state->type->fields; f++) {
        const size_t bytes = (size_t)trm_state_slots(state, f) * state->type->field[f].bytes;
        if (state->type->field[f].kind != TRM_FIELD_MADE && bytes > 0)
            memcpy(packed.field[f], state->field[f], bytes);
    }
    trm_state_clear(&packed, true);
}
