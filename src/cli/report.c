/* What goes to standard output: reports as JSON, versions. */
#include "cli/tables.h"

#include "base/alloc.h"
#include "base/json.h"
#include "kernel/blas_core.h"
#include "kernel/blas_threads.h"
#include "kernel/kernel.h"
#include "par/agree.h"

#include <errno.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* All kernels, and which of them are tried on this CPU. */
static void print_kernels(void)
{
    printf("kernels    ");
    for (int i = 0; trm_kernel_at(i) != NULL; i++)
        printf("%s%s", i > 0 ? ", " : "", trm_kernel_at(i)->name);
    printf("; auto chooses among");
    const char *between = " ";
    for (int i = 0; trm_kernel_at(i) != NULL; i++)
        if (trm_kernel_promising(trm_kernel_at(i))) {
            printf("%s%s", between, trm_kernel_at(i)->name);
            between = ", ";
        }
    printf("; instruction set %s\n", trm_kernel_isa());
}

void trm_report_version(bool all)
{
    char library[MPI_MAX_LIBRARY_VERSION_STRING] = {0}, blas[256] = {0};
    int length = 0;
    printf("trimine %s\n", trm_version());
    if (!all)
        return;
    MPI_Get_library_version(library, &length); /* the one MPI call that needs no MPI_Init */
    trm_blas_describe(blas, sizeof blas);
#ifdef __clang__
    printf("compiler   %s\n", __VERSION__);
#else
    printf("compiler   gcc %s\n", __VERSION__);
#endif
    printf("mpi        %.*s\n", (int)strcspn(library, ",\n"), library);
    printf("hdf5       %s\n", trm_store_library());
    printf("blas       %s%s%s\n", blas, trm_blas_core() != NULL ? ", core type " : "",
           trm_blas_core() != NULL ? trm_blas_core() : "");
    print_kernels();
    printf("openmp     %d; %ld cores on this host\n", _OPENMP, sysconf(_SC_NPROCESSORS_ONLN));
}

/* Whether something went to stdout: it gets one object, whatever comes of it. */
static bool printed;

void trm_report_begin(bool json)
{
    printed = false;
    trm_abort_tell(json ? trm_report_failure : NULL);
}

trm_status trm_report_print_text(const char *text, trm_error *err)
{
    printed = true;
    trm_say_json(stdout, text);
    const bool failed = putchar('\n') == EOF || fflush(stdout) != 0 || ferror(stdout) != 0;
    return failed ? trm_fail(err, TRM_ERR_IO, "the report could not be written to standard output: %s",
                             strerror(errno))
                  : TRM_OK;
}

/* Frees object. */
static trm_status print_object(json_t *object, trm_error *err)
{
    char *text = trm_json_dump(object);
    json_decref(object);
    if (text == NULL)
        return trm_fail_memory(err, "the report", 1, 1);
    trm_status status = trm_report_print_text(text, err);
    trm_json_free(text);
    return status;
}

trm_status trm_report_print(json_t *object, trm_error *err)
{
    if (object == NULL)
        return trm_fail(err, TRM_ERR_INTERNAL, "the report could not be made: something in it is not JSON");
    return print_object(object, err);
}

void trm_report_failure(const trm_error *err)
{
    const bool placed = err->rank >= 0;
    trm_error own = TRM_ERROR_INIT; /* the line on stderr has said what matters */
    json_t *object = json_pack("{s:{s:i, s:s, s:o, s:o, s:o}}", "error", "code", trm_exit_code(err->status),
                               "kind", trm_status_name(err->status), "message", trm_json_text(err->text),
                               "rank", placed ? json_integer(err->rank) : json_null(), "host",
                               placed ? trm_json_text(err->host) : json_null());
    if (printed || object == NULL)
        json_decref(object);
    else
        (void)print_object(object, &own);
}
