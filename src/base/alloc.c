/* Aligned, overflow-checked allocation; see alloc.h. */
#include "base/alloc.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#undef trm_fail_memory

enum { ALIGNMENT = 64 };
/* Huge pages spare most of the page faults, which take as long as copying what goes there, and of the address look-ups
 * where tables are walked at random. */
static const size_t huge_from = (size_t)4 << 20, huge_page = (size_t)2 << 20;

void *trm_alloc(int64_t count, size_t size)
{
    size_t bytes = 0;
    if (count < 0 || __builtin_mul_overflow((size_t)count, size, &bytes) || bytes > SIZE_MAX / 2)
        return NULL;
    const size_t alignment = bytes >= huge_from ? huge_page : ALIGNMENT;
    bytes = (bytes + ALIGNMENT) / ALIGNMENT * ALIGNMENT;
    void *memory = NULL;
    if (posix_memalign(&memory, alignment, bytes) != 0)
        return NULL;
    if (alignment == huge_page)
        (void)madvise(memory, bytes / huge_page * huge_page, MADV_HUGEPAGE); /* advice: it may be refused */
    return memory;
}

void *trm_alloc_zero(int64_t count, size_t size)
{
    void *memory = trm_alloc(count, size);
    if (memory != NULL)
        memset(memory, 0, (size_t)count * size);
    return memory;
}

void *trm_shrink(void *memory, int64_t count, size_t size)
{
    const size_t bytes = (size_t)count * size;
    void *smaller = realloc(memory, bytes > 0 ? bytes : 1);
    return smaller != NULL ? smaller : memory;
}

void *trm_grown(void *memory, int64_t used, int64_t room, size_t size)
{
    void *larger = trm_alloc(room, size);
    if (larger == NULL)
        return NULL;
    if (used > 0)
        memcpy(larger, memory, (size_t)used * size);
    trm_free(memory);
    return larger;
}

void trm_free(void *memory)
{
    free(memory);
}

trm_status trm_fail_memory(trm_error *err, const char *what, int64_t count, size_t size)
{
    return trm_fail(err, TRM_ERR_MEMORY, "out of memory: %s needs %.1f MB", what,
                    (double)count * (double)size / 1e6);
}

char *trm_format(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    va_list again;
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *text = length < 0 ? NULL : trm_alloc((int64_t)length + 1, 1);
    if (text != NULL)
        vsnprintf(text, (size_t)length + 1, format, again);
    va_end(again);
    return text;
}
