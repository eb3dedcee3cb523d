/* The libraries that say how many threads they use, in a table; a new one is a new row. */
#include "kernel/blas_threads.h"

#include <cblas.h>
#include <dlfcn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static void set_openblas(trm_blas_function set)
{
    ((void (*)(int))set)(1);
}

static void set_blis(trm_blas_function set) /* its dim_t */
{
    ((void (*)(int64_t))set)(1);
}

static void describe_openblas(char *text, size_t size)
{
    const trm_blas_function config = trm_blas_find("openblas_get_config");
    snprintf(text, size, "%s", config != NULL ? ((char *(*)(void))config)() : "OpenBLAS");
}

static void describe_blis(char *text, size_t size)
{
    const trm_blas_function version = trm_blas_find("bli_info_get_version_str");
    snprintf(text, size, "BLIS %s", version != NULL ? ((const char *(*)(void))version)() : "");
}

static void describe_mkl(char *text, size_t size)
{
    char version[256] = "Intel MKL";
    const trm_blas_function get = trm_blas_find("MKL_Get_Version_String");
    if (get != NULL)
        ((void (*)(char *, int))get)(version, (int)sizeof version);
    snprintf(text, size, "%s", version);
}

static void describe_flexiblas(char *text, size_t size)
{
    snprintf(text, size, "FlexiBLAS");
}

static const struct {
    const char *setter; /* also what the library is known by; cmake/blas.cmake has the same names */
    void (*set_one)(trm_blas_function set);
    void (*describe)(char *text, size_t size);
} known[] = {
    {"flexiblas_set_num_threads", set_openblas, describe_flexiblas},
    {"openblas_set_num_threads", set_openblas, describe_openblas},
    {"bli_thread_set_num_threads", set_blis, describe_blis},
    {"MKL_Set_Num_Threads", set_openblas, describe_mkl},
};
enum { KNOWN = sizeof known / sizeof *known };

trm_blas_function trm_blas_find(const char *name)
{
    trm_blas_function function = NULL;
    void *const symbol = dlsym(RTLD_DEFAULT, name);
    memcpy(&function, &symbol, sizeof function); /* POSIX lets it be one; C has no cast for it */
    return function;
}

/* The row of this BLAS; -1 where it is none of them. */
static int find_known(void)
{
    for (int i = 0; i < KNOWN; i++)
        if (trm_blas_find(known[i].setter) != NULL)
            return i;
    return -1;
}

/* Netlib's own has no threads. Its C interface is known by a variable; that interface may also sit on another
 * library's Fortran BLAS, which is then in another file. */
static bool is_reference(void)
{
    Dl_info c, fortran;
    void *const c_sgemm = dlsym(RTLD_DEFAULT, "cblas_sgemm"), *const sgemm = dlsym(RTLD_DEFAULT, "sgemm_");
    return dlsym(RTLD_DEFAULT, "RowMajorStrg") != NULL && c_sgemm != NULL && sgemm != NULL &&
           dladdr(c_sgemm, &c) != 0 && dladdr(sgemm, &fortran) != 0 &&
           strcmp(c.dli_fname, fortran.dli_fname) == 0;
}

static bool takes_turns;

bool trm_blas_takes_turns(void)
{
    return takes_turns;
}

static bool was_built_for_one_thread(void)
{
    const trm_blas_function parallel = trm_blas_find("openblas_get_parallel");
    return parallel != NULL && ((int (*)(void))parallel)() == 0;
}

void trm_blas_one_thread(void)
{
    const int i = find_known();
    takes_turns = was_built_for_one_thread();
    if (i >= 0)
        known[i].set_one(trm_blas_find(known[i].setter));
}

static void multiply(bool k_major, int rows, int cols, int depth, const float *a, int a_stride,
                     const float *b, int b_stride, float *c, int c_stride)
{
    cblas_sgemm(CblasRowMajor, k_major ? CblasTrans : CblasNoTrans, k_major ? CblasNoTrans : CblasTrans, rows,
                cols, depth, 1.0F, a, a_stride, b, b_stride, 0.0F, c, c_stride);
}

void trm_blas_sgemm(bool k_major, int rows, int cols, int depth, const float *a, int a_stride, const float *b,
                    int b_stride, float *c, int c_stride)
{
    if (!takes_turns) {
        multiply(k_major, rows, cols, depth, a, a_stride, b, b_stride, c, c_stride);
        return;
    }
#pragma omp critical(trimine_blas)
    multiply(k_major, rows, cols, depth, a, a_stride, b, b_stride, c, c_stride);
}

void trm_blas_describe(char *text, size_t size)
{
    Dl_info info;
    const int i = find_known();
    void *const sgemm = dlsym(RTLD_DEFAULT, "cblas_sgemm");
    if (i >= 0)
        known[i].describe(text, size);
    else if (is_reference())
        snprintf(text, size, "reference BLAS");
    else if (sgemm != NULL && dladdr(sgemm, &info) != 0)
        snprintf(text, size, "%s", info.dli_fname);
    else
        snprintf(text, size, "a BLAS in the program's own file");
}

const char *trm_blas_caution(int threads)
{
    if (find_known() < 0 && !is_reference())
        return "offers no known way to keep it to one thread a call; if it starts threads of its own, "
               "they compete with trimine's";
    if (threads > 1 && was_built_for_one_thread())
        return "was built for one thread, so the threads call it one after the other, which is slow";
    return NULL;
}
