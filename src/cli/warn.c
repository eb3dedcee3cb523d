/* Warnings: a line each on stderr when they are found, and all of them in the report. */
#include "cli/cli.h"

#include "base/visible.h"

#include <stdarg.h>
#include <stdio.h>

static json_t *warnings; /* of this process: only one rank reports */

void trm_warn(const char *format, ...)
{
    enum { LONGEST = 1024 };
    char text[LONGEST], shown[LONGEST];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    trm_visible(text, shown, sizeof shown);
    fprintf(stderr, "trimine: warning: %s\n", shown);
    if (warnings == NULL)
        warnings = json_array();
    json_array_append_new(warnings, json_string(shown));
}

json_t *trm_report_warnings(void)
{
    return warnings != NULL ? json_incref(warnings) : json_array();
}
