/* Two layouts of one struct of options, walked side by side: ours, and that of the caller's header. */
#include "base/sized.h"

#include <stdbool.h>
#include <string.h>

/* The sizes that a layout has: [0] of the whole, [1 + k] of part k. */
enum { SIZES = 1 + TRM_SIZED_PARTS };

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Copies what both structs have of these bytes, from place f to place t. */
static void copy(char *to, size_t t, size_t to_size, const char *from, size_t f, size_t from_size,
                 size_t bytes)
{
    if (t < to_size && f < from_size)
        memcpy(to + t, from + f, least(bytes, least(to_size - t, from_size - f)));
}

static void set_size(char *to, size_t t, size_t to_size, size_t size)
{
    if (t < to_size)
        memcpy(to + t, &size, sizeof size);
}

static void convert(const trm_sized *type, char *to, const size_t *to_sizes, const char *from,
                    const size_t *from_sizes)
{
    size_t t = 0, f = 0, ours = 0;
    for (int k = 0; k < type->parts; k++) {
        const size_t stretch = type->part[k].at - ours, to_part = to_sizes[1 + k],
                     from_part = from_sizes[1 + k];
        copy(to, t, to_sizes[0], from, f, from_sizes[0], stretch);
        t += stretch;
        f += stretch;
        copy(to, t, to_sizes[0], from, f, from_sizes[0], least(to_part, from_part));
        set_size(to, t, to_sizes[0], to_part);
        t += to_part;
        f += from_part;
        ours = type->part[k].at + type->part[k].size;
    }
    copy(to, t, to_sizes[0], from, f, from_sizes[0], type->size - ours);
    set_size(to, 0, to_sizes[0], to_sizes[0]);
}

static void our_sizes(const trm_sized *type, size_t sizes[SIZES])
{
    sizes[0] = type->size;
    for (int k = 0; k < type->parts; k++)
        sizes[1 + k] = type->part[k].size;
}

static bool is_size(size_t size, size_t most)
{
    return size >= sizeof size && size <= most && size % sizeof size == 0;
}

static trm_status refuse(const trm_sized *type, const char *member, size_t size, size_t most, trm_error *err)
{
    return trm_fail(err, TRM_ERR_USAGE,
                    "%s%s.size is %zu, must be from %zu to %zu: was it initialised with %s_init?", type->name,
                    member, size, sizeof size, most, type->name);
}

/* The sizes of the caller's layout: of a part that its header does not know, 0. */
static trm_status their_sizes(const trm_sized *type, const char *given, size_t sizes[SIZES], trm_error *err)
{
    size_t at = 0, ours = 0;
    memset(sizes, 0, SIZES * sizeof *sizes);
    memcpy(sizes, given, sizeof *sizes);
    if (!is_size(sizes[0], type->size))
        return refuse(type, "", sizes[0], type->size, err);
    for (int k = 0; k < type->parts && k < TRM_SIZED_PARTS; k++) { /* gcc can't know that there are no more */
        at += type->part[k].at - ours;
        if (at >= sizes[0])
            return TRM_OK;
        const size_t most = least(type->part[k].size, sizes[0] - at);
        memcpy(&sizes[1 + k], given + at, sizeof *sizes);
        if (!is_size(sizes[1 + k], most))
            return refuse(type, type->part[k].member, sizes[1 + k], most, err);
        at += sizes[1 + k];
        ours = type->part[k].at + type->part[k].size;
    }
    const size_t most = at + type->size - ours;
    return sizes[0] <= most ? TRM_OK : refuse(type, "", sizes[0], most, err);
}

trm_status trm_sized_take(const trm_sized *type, void *own, const void *given, trm_error *err)
{
    size_t ours[SIZES], theirs[SIZES];
    if (given == NULL)
        return TRM_OK;
    trm_status status = their_sizes(type, given, theirs, err);
    if (status != TRM_OK)
        return status;
    our_sizes(type, ours);
    convert(type, own, ours, given, theirs);
    return TRM_OK;
}

void trm_sized_give(const trm_sized *type, const void *own, void *given, const size_t *sizes)
{
    size_t ours[SIZES];
    our_sizes(type, ours);
    memset(given, 0, sizes[0]);
    convert(type, given, sizes, own, ours);
}
