/* A set of names; see names.h. Open addressing, at most half full. */
#include "base/names.h"

#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

static int64_t bytes_used(const trm_names *names)
{
    return names->count > 0 ? names->start[names->count] : 0;
}

trm_status trm_names_reserve(trm_names *names, int64_t count, int64_t bytes, trm_error *err)
{
    if (names->start == NULL || count > names->room) {
        int64_t *larger =
            trm_grown(names->start, names->count > 0 ? names->count + 1 : 0, count + 1, sizeof *names->start);
        if (larger == NULL)
            return trm_fail_memory(err, "names of labels", count + 1, sizeof *names->start);
        names->start = larger;
        names->room = count;
    }
    if (names->bytes == NULL || bytes > names->byte_room) {
        char *larger = trm_grown(names->bytes, bytes_used(names), bytes, 1);
        if (larger == NULL)
            return trm_fail_memory(err, "names of labels", bytes, 1);
        names->bytes = larger;
        names->byte_room = bytes;
    }
    return TRM_OK;
}

const char *trm_names_get(const trm_names *names, int64_t number, int64_t *length)
{
    const int64_t at = names->start[number];
    if (length != NULL)
        *length = names->start[number + 1] - at - 1;
    return names->bytes + at;
}

/* The slot where a name is, or would be. */
static int64_t slot_of(const trm_names *names, const char *name, int64_t length)
{
    uint64_t at = XXH3_64bits(name, (size_t)length);
    for (;; at++) {
        const int64_t slot = (int64_t)(at & (uint64_t)(names->slots - 1));
        int64_t there = 0;
        if (names->slot[slot] == 0)
            return slot;
        const char *other = trm_names_get(names, names->slot[slot] - 1, &there);
        if (there == length && memcmp(other, name, (size_t)length) == 0)
            return slot;
    }
}

int64_t trm_names_find(const trm_names *names, const char *name, int64_t length)
{
    return names->slots == 0 ? -1 : names->slot[slot_of(names, name, length)] - 1;
}

trm_status trm_names_index(trm_names *names, trm_error *err)
{
    int64_t slots = 16;
    while (slots < 4 * names->count)
        slots *= 2;
    int64_t *slot = trm_alloc_zero(slots, sizeof *slot);
    if (slot == NULL)
        return trm_fail_memory(err, "names of labels", slots, sizeof *slot);
    trm_free(names->slot);
    names->slot = slot;
    names->slots = slots;
    for (int64_t i = 0; i < names->count; i++) {
        int64_t length = 0;
        const char *name = trm_names_get(names, i, &length);
        names->slot[slot_of(names, name, length)] = i + 1;
    }
    return TRM_OK;
}

trm_status trm_names_append(trm_names *names, const char *name, int64_t length, trm_error *err)
{
    const int64_t used = bytes_used(names), need = used + length + 1;
    trm_status status = TRM_OK;
    if (names->count == names->room)
        status = trm_names_reserve(names, 2 * names->room + 16, names->byte_room, err);
    if (status == TRM_OK && need > names->byte_room)
        status = trm_names_reserve(names, names->room, 2 * names->byte_room + need, err);
    if (status != TRM_OK)
        return status;
    names->start[names->count] = used;
    if (length > 0)
        memcpy(names->bytes + used, name, (size_t)length);
    names->bytes[used + length] = '\0';
    names->start[++names->count] = need;
    return TRM_OK;
}

trm_status trm_names_add(trm_names *names, const char *name, int64_t length, trm_error *err)
{
    trm_status status = TRM_OK;
    if (trm_names_find(names, name, length) >= 0)
        return TRM_OK;
    if (2 * (names->count + 1) > names->slots)
        status = trm_names_index(names, err);
    if (status != TRM_OK)
        return status;
    const int64_t slot = slot_of(names, name, length);
    status = trm_names_append(names, name, length, err);
    if (status == TRM_OK)
        names->slot[slot] = names->count;
    return status;
}

typedef struct entry {
    const char *name;
    int64_t length;
} entry;

static int compare_entries(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    const int order = memcmp(x->name, y->name, (size_t)(x->length < y->length ? x->length : y->length));
    return order != 0 ? order : (x->length > y->length) - (x->length < y->length);
}

trm_status trm_names_sort(trm_names *names, trm_error *err)
{
    trm_names sorted = TRM_NAMES_INIT;
    entry *entries = trm_alloc(names->count, sizeof *entries);
    trm_status status = entries == NULL
                            ? trm_fail_memory(err, "names of labels", names->count, sizeof *entries)
                            : trm_names_reserve(&sorted, names->count, bytes_used(names), err);
    for (int64_t i = 0; i < names->count && status == TRM_OK; i++)
        entries[i].name = trm_names_get(names, i, &entries[i].length);
    if (status == TRM_OK) {
        qsort(entries, (size_t)names->count, sizeof *entries, compare_entries);
        for (int64_t i = 0; i < names->count; i++) {
            sorted.start[i] = bytes_used(&sorted);
            memcpy(sorted.bytes + sorted.start[i], entries[i].name, (size_t)entries[i].length + 1);
            sorted.start[i + 1] = sorted.start[i] + entries[i].length + 1;
            sorted.count++;
        }
        status = trm_names_index(&sorted, err);
    }
    trm_free(entries);
    if (status != TRM_OK) {
        trm_names_free(&sorted);
        return status;
    }
    trm_names_free(names);
    *names = sorted;
    return TRM_OK;
}

int64_t trm_names_bytes(const trm_names *names)
{
    return (names->start == NULL ? 0 : (names->room + 1) * (int64_t)sizeof *names->start) + names->byte_room +
           names->slots * (int64_t)sizeof *names->slot;
}

void trm_names_free(trm_names *names)
{
    trm_free(names->start);
    trm_free(names->bytes);
    trm_free(names->slot);
    *names = (trm_names)TRM_NAMES_INIT;
}
