/* Labels in lines of JSON; see label_json.h. */
#include "store/label_json.h"

#include "base/alloc.h"
#include "base/json.h"
#include "base/visible.h"
#include "store/first_bytes.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { PLACE = 4 * TRM_LABEL_FIELD + 8, WHAT = PLACE + 512 };

/* ---- what is said ---- */

static const char *type_of(const json_t *value)
{
    static const char *const types[] = {
        [JSON_OBJECT] = "an object", [JSON_ARRAY] = "a list",  [JSON_STRING] = "a string",
        [JSON_INTEGER] = "a number", [JSON_REAL] = "a number", [JSON_TRUE] = "true",
        [JSON_FALSE] = "false",      [JSON_NULL] = "null"};
    return types[json_typeof(value)];
}

/* A file of JSON that is one array, as many tools write them, is told so. */
static trm_status refuse_json(const trm_text_scan *scan, int64_t number, const trm_text_line *line,
                              const json_error_t *why, trm_error *err)
{
    char what[WHAT], shown[2 * JSON_ERROR_TEXT_LENGTH];
    if (json_error_code(why) == json_error_out_of_memory)
        return trm_fail_memory(err, "a line of JSON", line->length, 1);
    if (number == 1 && line->length > 0 && line->bytes[0] == '[')
        return trm_text_refuse(scan, number, TRM_JSON_ARRAY, err);
    trm_visible(why->text, shown, sizeof shown);
    snprintf(what, sizeof what, "is no JSON (%s): needs a whole object a line", shown);
    return trm_text_refuse(scan, number, line->length == 0 ? "is empty: needs an object a line" : what, err);
}

/* ---- values ---- */

/* Numbers of other fields may be larger than any that jansson has. */
static json_t *parse(const trm_text_line *line, json_error_t *why)
{
    json_t *value = json_loadb(line->bytes, (size_t)line->length, JSON_DECODE_ANY, why);
    if (value == NULL && json_error_code(why) == json_error_numeric_overflow)
        value = json_loadb(line->bytes, (size_t)line->length, JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL, why);
    return value;
}

/* Up to 2^53 a real is one whole number and no other. NULL: it was taken; else why not; "": its type. */
static const char *take_value(const json_t *value, char text[TRM_LABEL_MOST + 1], int64_t *length)
{
    const double real = json_is_real(value) ? json_real_value(value) : 0;
    *length = (int64_t)json_string_length(value);
    if (json_is_string(value) && *length > 0 && *length <= TRM_LABEL_MOST)
        memcpy(text, json_string_value(value), (size_t)*length + 1);
    else if (json_is_string(value))
        return *length == 0 ? "is empty" : "has more than 65536 bytes: one short value a row";
    else if (json_is_real(value) && real != floor(real))
        return "has a fraction: needs a string or a whole number";
    else if (fabs(real) > 0x1p53)
        return "is too large for a number of JSON: write it as a string";
    else if (json_is_number(value))
        *length = sprintf(text, "%" PRId64,
                          json_is_real(value) ? (int64_t)real : (int64_t)json_integer_value(value));
    else
        return "";
    return NULL;
}

static trm_status take_line(const trm_text_scan *scan, int64_t number, json_t *line, const char *field,
                            char text[TRM_LABEL_MOST + 1], int64_t *length, trm_error *err)
{
    char what[WHAT], listed[TRM_JSON_FIELDS], place[PLACE] = "", shown[PLACE - 4];
    const json_t *value = field[0] == '\0' ? line : json_object_get(line, field);
    trm_visible(field, shown, sizeof shown);
    if (field[0] != '\0')
        snprintf(place, sizeof place, "'%s' ", shown);
    if (field[0] == '\0' && json_is_object(line))
        return trm_fail(
            err, TRM_ERR_DATA,
            "%s '%s': its lines are objects: choose a field of them as %s:FIELD; line %" PRId64 " has: %s",
            scan->about->kind, scan->about->path, scan->about->path, number, trm_json_fields(line, listed));
    if (json_is_array(line) && json_is_object(json_array_get(line, 0)))
        return trm_text_refuse(scan, number, TRM_JSON_ARRAY, err);
    if (value == NULL && json_is_object(line))
        snprintf(what, sizeof what, "has no field '%s'; it has: %s", shown, trm_json_fields(line, listed));
    else if (value == NULL)
        snprintf(what, sizeof what, "is %s: needs an object with the field '%s'", type_of(line), shown);
    else {
        const char *why = take_value(value, text, length);
        if (why == NULL)
            return TRM_OK;
        if (why[0] == '\0')
            snprintf(what, sizeof what, "%sis %s: needs a string or a whole number", place, type_of(value));
        else
            snprintf(what, sizeof what, "%s%s", place, why);
    }
    return trm_text_refuse(scan, number, what, err);
}

trm_status trm_label_json_next(trm_text_scan *scan, const char *field, trm_text_line *line,
                               char value[TRM_LABEL_MOST + 1], int64_t *length, bool *more, trm_error *err)
{
    const int64_t number = scan->line;
    json_error_t why;
    trm_status status = trm_text_read_line(scan, line, more, err);
    if (status != TRM_OK || !*more)
        return status;
    if (memchr(line->bytes, '\0', (size_t)line->length) != NULL)
        return trm_text_refuse(scan, number, TRM_TEXT_NUL, err);
    json_t *parsed = parse(line, &why);
    const bool is_array = parsed != NULL && json_is_array(parsed) && number == 1;
    status = parsed == NULL || is_array ? refuse_json(scan, number, line, &why, err)
                                        : take_line(scan, number, parsed, field, value, length, err);
    json_decref(parsed);
    return status;
}
