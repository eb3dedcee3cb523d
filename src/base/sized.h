/* Structs of options that callers lay out, maybe by an older header than ours: each begins with its size.
 *
 * Members are only ever added at the end. A struct that has structs of options inside, which may have grown too, is
 * a row of stretches with these parts between them: a stretch is as long in every version, but for the last. */
#ifndef TRM_BASE_SIZED_H
#define TRM_BASE_SIZED_H

#include "base/error.h"

#include <stddef.h>

enum { TRM_SIZED_PARTS = 2 };

/* One type, as we know it. */
typedef struct trm_sized {
    const char *name; /* "trm_evaluate_options" */
    size_t size;
    int parts;
    struct {
        const char *member; /* ".loss" */
        size_t at, size;
    } part[TRM_SIZED_PARTS]; /* structs of options inside, in the order of their places */
} trm_sized;

/* given, by whatever header, over own, which holds the defaults: those of members that the caller's header does
 * not know stay. given may be NULL: all defaults. Not collective. Errors: USAGE (a size of 0, that is no multiple of
 * size_t, or beyond what we know); then own stays as it is. */
trm_status trm_sized_take(const trm_sized *type, void *own, const void *given, trm_error *err) TRM_MUST_CHECK;

/* Our defaults, own, laid out as the caller knows the type: sizes of the whole and of each part. What we do not know
 * of it is zero. Not collective. */
void trm_sized_give(const trm_sized *type, const void *own, void *given, const size_t *sizes);

#endif
