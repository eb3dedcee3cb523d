/* Makes system calls fail, on one rank, for files in one folder: LD_PRELOAD=shim.so.
 *
 * FAULT_CALL   read, write, fsync, rename (also by link), truncate, memory (the program's own allocations), or
 *              tile (a tile of the blas kernel, which does not fail: a moment inside a sweep to wait at)
 * FAULT_RANK   the rank it happens on (0)
 * FAULT_NTH    which call fails, from 1 on; 0: none
 * FAULT_ALL    set: every call from then on, too
 * FAULT_ERRNO  what it fails with (EIO)
 * FAULT_HERE   a file that gets the process's id when it comes to that call
 * FAULT_WAIT   a file: the call does not fail, but waits until the file is there (ten minutes at most)
 * FAULT_PATH   only files whose names begin so; not for memory and tile
 * FAULT_COUNT  a file that gets the number of calls there were on that rank, at the end
 *
 * Whatever FAULT_CALL says:
 * FAULT_LOCK   the error that every lock fails with, on all ranks
 * FAULT_RAISE  the number of a signal that the rank gets when it is about to start MPI */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static const char *text_of(const char *name)
{
    const char *value = getenv(name);
    return value != NULL ? value : "";
}

static long number_of(const char *name)
{
    return strtol(text_of(name), NULL, 10);
}

static long calls;

/* Writes a number into the file that a variable names, whole or not at all. */
static void note(const char *variable, long number)
{
    const char *path = getenv(variable);
    char next[4096];
    if (path == NULL || snprintf(next, sizeof next, "%s.next", path) >= (int)sizeof next)
        return;
    FILE *file = fopen(next, "w");
    if (file == NULL)
        return;
    fprintf(file, "%ld\n", number);
    if (fclose(file) == 0)
        syscall(SYS_renameat, AT_FDCWD, next, AT_FDCWD, path); /* not the one below */
}

/* Does this call fail? */
static bool fails(const char *call)
{
    if (strcmp(text_of("FAULT_CALL"), call) != 0 ||
        strtol(text_of("OMPI_COMM_WORLD_RANK"), NULL, 10) != number_of("FAULT_RANK"))
        return false;
    const long now = __atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED), nth = number_of("FAULT_NTH");
    if (nth == 0 || now < nth || (now > nth && getenv("FAULT_ALL") == NULL))
        return false;
    note("FAULT_HERE", getpid());
    const char *wait = getenv("FAULT_WAIT");
    for (int tries = 0; wait != NULL && tries < 60000 && access(wait, F_OK) != 0; tries++)
        usleep(10000);
    if (wait != NULL)
        return false;
    errno = getenv("FAULT_ERRNO") != NULL ? (int)number_of("FAULT_ERRNO") : EIO;
    return true;
}

static bool is_under(const char *path)
{
    const char *folder = text_of("FAULT_PATH");
    return folder[0] != '\0' && strncmp(path, folder, strlen(folder)) == 0;
}

static bool concerns(int file)
{
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    const ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0)
        return false;
    path[length] = '\0';
    return is_under(path);
}

/* A name in an open folder. */
static bool concerns_at(int folder, const char *name)
{
    char link[64], path[4096];
    if (name[0] == '/')
        return is_under(name);
    snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
    const ssize_t length = readlink(link, path, sizeof path / 2);
    if (length < 0)
        return false;
    snprintf(path + length, sizeof path - (size_t)length, "/%s", name);
    return is_under(path);
}

__attribute__((destructor)) static void report(void)
{
    if (strtol(text_of("OMPI_COMM_WORLD_RANK"), NULL, 10) == number_of("FAULT_RANK"))
        note("FAULT_COUNT", calls);
}

#define REAL(name, type) ((type)(uintptr_t)dlsym(RTLD_NEXT, name))

#define WRAP(what, name, type, parameters, file, arguments, failure)                                         \
    type name parameters                                                                                     \
    {                                                                                                        \
        if (concerns(file) && fails(what))                                                                   \
            return failure;                                                                                  \
        return REAL(#name, type(*) parameters) arguments;                                                    \
    }

WRAP("read", read, ssize_t, (int f, void *b, size_t n), f, (f, b, n), -1)
WRAP("read", pread, ssize_t, (int f, void *b, size_t n, off_t o), f, (f, b, n, o), -1)
WRAP("read", pread64, ssize_t, (int f, void *b, size_t n, off64_t o), f, (f, b, n, o), -1)
WRAP("read", readv, ssize_t, (int f, const struct iovec *v, int n), f, (f, v, n), -1)
WRAP("read", preadv, ssize_t, (int f, const struct iovec *v, int n, off_t o), f, (f, v, n, o), -1)
WRAP("read", preadv64, ssize_t, (int f, const struct iovec *v, int n, off64_t o), f, (f, v, n, o), -1)
WRAP("write", write, ssize_t, (int f, const void *b, size_t n), f, (f, b, n), -1)
WRAP("write", pwrite, ssize_t, (int f, const void *b, size_t n, off_t o), f, (f, b, n, o), -1)
WRAP("write", pwrite64, ssize_t, (int f, const void *b, size_t n, off64_t o), f, (f, b, n, o), -1)
WRAP("write", writev, ssize_t, (int f, const struct iovec *v, int n), f, (f, v, n), -1)
WRAP("write", pwritev, ssize_t, (int f, const struct iovec *v, int n, off_t o), f, (f, v, n, o), -1)
WRAP("write", pwritev64, ssize_t, (int f, const struct iovec *v, int n, off64_t o), f, (f, v, n, o), -1)
WRAP("fsync", fsync, int, (int f), f, (f), -1)
WRAP("truncate", ftruncate, int, (int f, off_t o), f, (f, o), -1)
WRAP("truncate", ftruncate64, int, (int f, off64_t o), f, (f, o), -1)

int rename(const char *from, const char *to)
{
    if (is_under(to) && fails("rename"))
        return -1;
    return REAL("rename", int (*)(const char *, const char *))(from, to);
}

int renameat(int from_folder, const char *from, int to_folder, const char *to)
{
    if (concerns_at(to_folder, to) && fails("rename"))
        return -1;
    return REAL("renameat", int (*)(int, const char *, int, const char *))(from_folder, from, to_folder, to);
}

int renameat2(int from_folder, const char *from, int to_folder, const char *to, unsigned flags)
{
    if (concerns_at(to_folder, to) && fails("rename"))
        return -1;
    return REAL("renameat2", int (*)(int, const char *, int, const char *, unsigned))(from_folder, from,
                                                                                      to_folder, to, flags);
}

int linkat(int from_folder, const char *from, int to_folder, const char *to, int flags)
{
    if (concerns_at(to_folder, to) && fails("rename"))
        return -1;
    return REAL("linkat", int (*)(int, const char *, int, const char *, int))(from_folder, from, to_folder,
                                                                              to, flags);
}

/* Open file description locks; all other commands pass. */
static int lock_or_not(const char *name, int file, int command, void *argument)
{
    if (command == F_OFD_SETLK && getenv("FAULT_LOCK") != NULL && concerns(file)) {
        errno = (int)number_of("FAULT_LOCK");
        return -1;
    }
    return ((int (*)(int, int, ...))(uintptr_t)dlsym(RTLD_NEXT, name))(file, command, argument);
}

#define WRAP_FCNTL(name)                                                                                     \
    int name(int file, int command, ...)                                                                     \
    {                                                                                                        \
        va_list arguments;                                                                                   \
        va_start(arguments, command);                                                                        \
        void *argument = va_arg(arguments, void *);                                                          \
        va_end(arguments);                                                                                   \
        return lock_or_not(#name, file, command, argument);                                                  \
    }

WRAP_FCNTL(fcntl)
WRAP_FCNTL(fcntl64)

int MPI_Init_thread(int *argc, char ***argv, int required, int *provided)
{
    if (getenv("FAULT_RAISE") != NULL &&
        strtol(text_of("OMPI_COMM_WORLD_RANK"), NULL, 10) == number_of("FAULT_RANK"))
        raise((int)number_of("FAULT_RAISE"));
    return REAL("MPI_Init_thread", int (*)(int *, char ***, int, int *))(argc, argv, required, provided);
}

/* The program itself, not its libraries: trimine calls nothing else for memory. */
static bool is_program(void *caller)
{
    Dl_info about;
    return dladdr(caller, &about) != 0 && about.dli_fname != NULL &&
           strstr(about.dli_fname, "/trimine") != NULL && strstr(about.dli_fname, ".so") == NULL;
}

int posix_memalign(void **memory, size_t alignment, size_t bytes)
{
    static int (*real)(void **, size_t, size_t);
    if (real == NULL)
        real = REAL("posix_memalign", int (*)(void **, size_t, size_t));
    if (is_program(__builtin_return_address(0)) && fails("memory"))
        return ENOMEM;
    return real(memory, alignment, bytes);
}

void cblas_sgemm(int order, int transpose_a, int transpose_b, int m, int n, int k, float alpha,
                 const float *a, int lda, const float *b, int ldb, float beta, float *c, int ldc)
{
    static void (*real)(int, int, int, int, int, int, float, const float *, int, const float *, int, float,
                        float *, int);
    if (real == NULL)
        real = REAL("cblas_sgemm", void (*)(int, int, int, int, int, int, float, const float *, int,
                                            const float *, int, float, float *, int));
    if (is_program(__builtin_return_address(0)))
        (void)fails("tile");
    real(order, transpose_a, transpose_b, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
}
