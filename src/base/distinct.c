/* A hash table of row ids, open addressing; see distinct.h. */
#include "base/distinct.h"

#include "base/alloc.h"

enum { LEAST_ROOM = 64 };

/* Where the search for id ends: at its slot, or a free one. */
static int64_t slot_of(const trm_distinct *set, int64_t id)
{
    const uint64_t mixed = (uint64_t)id * UINT64_C(0x9e3779b97f4a7c15); /* 2^64 / the golden ratio */
    int64_t slot = (int64_t)(mixed >> 32) & (set->size - 1);
    while (set->table[slot] >= 0 && set->id[set->table[slot]] != id)
        slot = (slot + 1) & (set->size - 1);
    return slot;
}

/* Makes room for twice as many. */
static bool grow(trm_distinct *set)
{
    const int64_t room = set->room > 0 ? 2 * set->room : LEAST_ROOM, size = 2 * room;
    int64_t *id = trm_grown(set->id, set->count, room, sizeof *id);
    if (id == NULL)
        return false;
    set->id = id;
    int64_t *table = trm_alloc(size, sizeof *table);
    if (table == NULL)
        return false;
    trm_free(set->table);
    set->table = table;
    set->room = room;
    set->size = size;
    for (int64_t slot = 0; slot < size; slot++)
        table[slot] = -1;
    for (int64_t place = 0; place < set->count; place++)
        table[slot_of(set, id[place])] = place;
    return true;
}

bool trm_distinct_add(trm_distinct *set, int64_t id)
{
    if (set->count == set->room && !grow(set))
        return false;
    const int64_t slot = slot_of(set, id);
    if (set->table[slot] < 0) {
        set->id[set->count] = id;
        set->table[slot] = set->count++;
    }
    return true;
}

int64_t trm_distinct_find(const trm_distinct *set, int64_t id)
{
    return set->count > 0 ? set->table[slot_of(set, id)] : -1;
}

void trm_distinct_free(trm_distinct *set)
{
    trm_free(set->id);
    trm_free(set->table);
    *set = (trm_distinct){0};
}

int64_t trm_distinct_bytes(int64_t count)
{
    /* room up to twice count, the table twice room, and half of both while they grow */
    return 9 * (count + LEAST_ROOM) * (int64_t)sizeof(int64_t);
}
