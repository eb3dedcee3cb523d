/* The only allocator: (count, size) with an overflow check, 64-byte aligned so that any buffer may be a SIMD
 * tile. */
#ifndef TRM_BASE_ALLOC_H
#define TRM_BASE_ALLOC_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

/* Memory for count items of size bytes, 64-byte aligned, contents undefined. A count of 0 gives a valid
 * pointer. NULL when out of memory or when count is negative. Owned by the caller: trm_free. */
void *trm_alloc(int64_t count, size_t size);

/* The same, zeroed. */
void *trm_alloc_zero(int64_t count, size_t size);

/* The same memory for fewer items: what is beyond them goes back to the system. Never fails. */
void *trm_shrink(void *memory, int64_t count, size_t size);

/* Memory for room items that begins with the first used of memory, which is freed; NULL when out of memory:
 * then memory stays. */
void *trm_grown(void *memory, int64_t used, int64_t room, size_t size);

/* Frees; NULL is fine. */
void trm_free(void *memory);

/* Fills err with "out of memory: WHAT needs B bytes" and returns TRM_ERR_MEMORY. */
trm_status trm_fail_memory(trm_error *err, const char *what, int64_t count, size_t size);
#ifdef __clang_analyzer__
#define trm_fail_memory(err, what, count, size)                                                              \
    ((void)(trm_fail_memory)((err), (what), (count), (size)), TRM_ERR_MEMORY)
#endif

/* Formatted text in new memory (trm_free), or NULL. */
char *trm_format(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
