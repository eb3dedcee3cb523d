/* Status codes and error text: what every fallible call returns, and the one line a user reads.
 *
 * A status is one of a closed list; each has one process exit code (sysexits.h numbers). The optional error
 * object is plain memory of the caller: the first failure fills it, callers on the way up may add context in
 * front. One that holds a failure keeps it: begin each call with a TRM_ERROR_INIT.
 *
 * A collective function checks its arguments on every rank and compares those that must be equal with rank
 * 0's, before it does anything else. Whatever fails on any rank fails on all, with the same status and text;
 * none waits for another. A text names a field as its struct has it (loss.margin), or as the program's option
 * (--tile).
 *
 * Needs abi.h. */
#ifndef TRIMINE_STATUS_H
#define TRIMINE_STATUS_H

#include "trimine/abi.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum trm_status {
    TRM_OK = 0,
    TRM_ERR_USAGE,       /* 64: a bad option or combination of options */
    TRM_ERR_DATA,        /* 65: the input is there but breaks a rule */
    TRM_ERR_NO_INPUT,    /* 66: the input is not there or can't be opened */
    TRM_ERR_ENVIRONMENT, /* 69: MPI, launcher or library are not as needed */
    TRM_ERR_INTERNAL,    /* 70: a defect of trimine itself */
    TRM_ERR_MEMORY,      /* 71: out of memory, or over the limit given */
    TRM_ERR_CREATE,      /* 73: the output can't be created, or exists */
    TRM_ERR_IO,          /* 74: reading or writing failed, disk full */
    TRM_ERR_STOPPED,     /* 75: stopped on a signal */
    TRM_ERR_PERMISSION   /* 77: permission denied */
} trm_status;

enum { TRM_ERROR_TEXT = 1024, TRM_ERROR_HOST = 64 };

/* One failure. rank is -1 until an agreement point names the rank it happened on. */
typedef struct trm_error {
    trm_status status;
    int rank;
    char host[TRM_ERROR_HOST];
    char text[TRM_ERROR_TEXT];
} trm_error;

#define TRM_ERROR_INIT                                                                                       \
    {                                                                                                        \
        TRM_OK, -1, {0},                                                                                     \
        {                                                                                                    \
            0                                                                                                \
        }                                                                                                    \
    }
#define TRM_MUST_CHECK __attribute__((warn_unused_result))

/* The process exit code of a status. Not collective. */
TRM_API int trm_exit_code(trm_status status);
/* Its name, as the program's JSON has it: "ok", "usage", "data", "no_input", ...; borrowed for ever. Not
 * collective. */
TRM_API const char *trm_status_name(trm_status status);

#ifdef __cplusplus
}
#endif
#endif
