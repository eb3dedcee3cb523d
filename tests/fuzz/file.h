/* Bytes of a fuzzer as a file, whose name may say what is in it. Only in memory: a folder of links leads to it. */
#ifndef TRM_FUZZ_FILE_H
#define TRM_FUZZ_FILE_H

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static char fuzz_folder[32] = "/tmp/trimine-fuzz.XXXXXX";
static char fuzz_link[64];
static int fuzz_file = -1;

static inline void fuzz_clean_up(void)
{
    unlink(fuzz_link);
    rmdir(fuzz_folder);
}

static inline void fuzz_begin(void)
{
    fuzz_file = memfd_create("fuzz", MFD_CLOEXEC);
    if (fuzz_file < 0 || mkdtemp(fuzz_folder) == NULL)
        abort();
    atexit(fuzz_clean_up);
}

/* A file of that name with these bytes; the path is good until the next call. */
static inline const char *fuzz_put(const char *name, const uint8_t *data, size_t size)
{
    char target[32];
    if (fuzz_file < 0)
        fuzz_begin();
    if (ftruncate(fuzz_file, 0) != 0 || pwrite(fuzz_file, data, size, 0) != (ssize_t)size)
        abort();
    unlink(fuzz_link);
    snprintf(target, sizeof target, "/proc/self/fd/%d", fuzz_file);
    snprintf(fuzz_link, sizeof fuzz_link, "%s/%s", fuzz_folder, name);
    if (symlink(target, fuzz_link) != 0)
        abort();
    return fuzz_link;
}

#endif
