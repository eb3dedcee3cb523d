/* Labels, and ids, in lines of JSON: of each line the object's field of one name, or a line that is itself a string or a
 * whole number. JSON is read by jansson, which is strict. */
#ifndef TRM_STORE_LABEL_JSON_H
#define TRM_STORE_LABEL_JSON_H

#include "store/label_text.h"
#include "store/text_scan.h"

/* The next line's value as text, with a '\0' behind it; a whole number is written with its digits. *more: false where there is no
 * line. field: "" where lines are values. line: memory for it. One rank. Errors: as trm_text_read_line; MEMORY; DATA naming the
 * line: no JSON, no such field (and which there are), another type, an empty or a long string. */
trm_status trm_label_json_next(trm_text_scan *scan, const char *field, trm_text_line *line,
                               char value[TRM_LABEL_MOST + 1], int64_t *length, bool *more,
                               trm_error *err) TRM_MUST_CHECK;

#endif
