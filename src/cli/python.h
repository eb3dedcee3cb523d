/* Runs Python for the commands that are written in it: the package trimine, from beside the program. */
#ifndef TRM_CLI_PYTHON_H
#define TRM_CLI_PYTHON_H

#include "base/error.h"

/* Calls the function main of a module of the package (such as "trimine.report") with arguments, NULL-terminated, and
 * waits for it. Tries $TRIMINE_PYTHON alone, where it is set, else python3 as PATH has it and /usr/bin/python3: the
 * first that has what the module needs. What the module says on standard error is said, but for its last line of an
 * error, which becomes the error. Not collective: for a process that has not started MPI. Errors: those of the module, by
 * its exit code; ENVIRONMENT: no Python, or none that has what is needed; MEMORY. */
trm_status trm_python_run(const char *module, const char *const *arguments, trm_error *err) TRM_MUST_CHECK;

#endif
