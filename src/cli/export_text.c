/* Lines of CSV and of JSON; see export.h. Reals have 17 digits, so that they read back exactly. */
#include "cli/export.h"

#include "base/alloc.h"
#include "base/json.h"
#include "store/first_bytes.h"
#include "store/labels.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

void trm_table_begin(trm_table *table)
{
    table->fields = 0;
    if (!table->csv)
        trm_stream_put(table->to, "{", 1);
}

void trm_table_end(trm_table *table)
{
    trm_stream_put(table->to, table->csv ? "\r\n" : "}\n", 2);
}

void trm_table_key(trm_table *table, const char *name)
{
    if (!table->csv)
        trm_stream_print(table->to, "%s\"%s\": ", table->fields++ > 0 ? ", " : "", name);
}

void trm_table_list(trm_table *table, bool begins)
{
    table->in_list = begins;
    table->any = false;
    if (!table->csv)
        trm_stream_put(table->to, begins ? "[" : "]", 1);
}

/* What comes between two values. */
static void separate(trm_table *table)
{
    if (table->csv && table->fields++ > 0)
        trm_stream_put(table->to, ",", 1);
    if (!table->csv && table->in_list && table->any)
        trm_stream_put(table->to, ", ", 2);
    table->any = true;
}

void trm_table_whole(trm_table *table, int64_t value)
{
    separate(table);
    trm_stream_print(table->to, "%" PRId64, value);
}

void trm_table_unsigned(trm_table *table, int64_t bits)
{
    separate(table);
    trm_stream_print(table->to, "%" PRIu64, (uint64_t)bits);
}

void trm_table_real(trm_table *table, double value)
{
    separate(table);
    if (isfinite(value) || table->csv)
        trm_stream_print(table->to, "%.17g", value);
    else
        trm_stream_put(table->to, "null", 4);
}

/* Within quotes, a quote twice, where there is anything that could be taken for more than text. */
static void put_csv(trm_stream *to, const char *text, int64_t length)
{
    bool plain = length > 0 && text[0] != ' ' && text[length - 1] != ' ';
    for (int64_t i = 0; i < length && plain; i++)
        plain = strchr(",\"\r\n", text[i]) == NULL;
    if (plain) {
        trm_stream_put(to, text, length);
        return;
    }
    trm_stream_put(to, "\"", 1);
    for (int64_t i = 0; i < length; i++)
        trm_stream_put(to, text[i] == '"' ? "\"\"" : &text[i], text[i] == '"' ? 2 : 1);
    trm_stream_put(to, "\"", 1);
}

/* Bytes that are not UTF-8 become \xNN, as everywhere. */
static trm_status put_json(trm_stream *to, const char *text, int64_t length, trm_error *err)
{
    json_t *value = json_stringn(text, (size_t)length);
    if (value == NULL) {
        char *copy = trm_format("%.*s", (int)length, text);
        value = copy != NULL ? trm_json_text(copy) : NULL;
        trm_free(copy);
    }
    char *dumped = value != NULL ? json_dumps(value, JSON_ENCODE_ANY) : NULL;
    json_decref(value);
    if (dumped == NULL)
        return trm_fail_memory(err, "a text", length, 1);
    trm_stream_put(to, dumped, (int64_t)strlen(dumped));
    trm_json_free(dumped);
    return TRM_OK;
}

trm_status trm_table_text(trm_table *table, const char *text, int64_t length, trm_error *err)
{
    separate(table);
    if (!table->csv)
        return put_json(table->to, text, length, err);
    put_csv(table->to, text, length);
    return TRM_OK;
}

/* A JSON string, or an object as corpora have them ({"_id": ..., "title": ..., "text": ...}): its text, with a title before
 * it, as BEIR joins them; or a field of an object. NULL: none of them, or no memory (*memory). The caller frees. */
static char *text_of(const json_t *value, const char *field, bool *memory)
{
    const bool named = field != NULL, object = json_is_object(value);
    const json_t *text = object || named ? json_object_get(value, named ? field : "text") : value,
                 *title = object && !named ? json_object_get(value, "title") : NULL;
    const bool titled = json_string_length(title) > 0;
    if (!json_is_string(text))
        return NULL;
    char *joined = trm_format("%s%s%s", titled ? json_string_value(title) : "", titled ? " " : "",
                              json_string_value(text));
    *memory = joined == NULL;
    return joined;
}

/* What is in place of the text. */
static trm_status refuse_line(const trm_texts *texts, int64_t row, json_t *value, trm_error *err)
{
    char fields[TRM_JSON_FIELDS];
    const bool object = json_is_object(value);
    const char *const has = object ? "; it has: " : "";
    const char *const listed = object ? trm_json_fields(value, fields) : "";
    if (texts->field != NULL)
        return trm_fail(err, TRM_ERR_DATA,
                        "texts '%s': line %" PRId64 " is no object with a string \"%s\"%s%s", texts->path,
                        row + 1, texts->field, has, listed);
    return trm_fail(err, TRM_ERR_DATA,
                    "texts '%s': line %" PRId64
                    " is no JSON string, and no object with a string \"text\": another field is "
                    "named as %s:FIELD%s%s",
                    texts->path, row + 1, texts->path, has, listed);
}

static trm_status put_json_line(trm_table *table, const trm_texts *texts, int64_t row, const char *line,
                                int64_t length, trm_error *err)
{
    bool memory = false;
    json_t *value = json_loadb(line, (size_t)length, JSON_DECODE_ANY, NULL);
    char *text = text_of(value, texts->field, &memory);
    trm_status status = text != NULL ? trm_table_text(table, text, (int64_t)strlen(text), err)
                        : memory     ? trm_fail_memory(err, "a text", length, 1)
                                     : refuse_line(texts, row, value, err);
    trm_free(text);
    json_decref(value);
    return status;
}

/* Of a line as it is: another encoding would be trained on as signs that nobody wrote. */
static trm_status put_plain_line(trm_table *table, const trm_texts *texts, int64_t row, const char *line,
                                 int64_t length, trm_error *err)
{
    if (length > 0 && memchr(line, '\0', (size_t)length) != NULL)
        return trm_fail(err, TRM_ERR_DATA, "texts '%s': line %" PRId64 ": " TRM_TEXT_NUL, texts->path,
                        row + 1);
    json_t *text = json_stringn(line, (size_t)length);
    const bool known = text != NULL;
    json_decref(text);
    return known ? trm_table_text(table, line, length, err)
                 : trm_fail(err, TRM_ERR_DATA,
                            "texts '%s': line %" PRId64
                            ": is no UTF-8: iconv -f ENCODING -t UTF-8 makes that of it",
                            texts->path, row + 1);
}

/* A row's text: its line, or what JSON in it says. */
static trm_status put_text(trm_table *table, const trm_texts *texts, int64_t row, trm_error *err)
{
    const char *line;
    int64_t length;
    if (row < 0 || row >= texts->rows)
        return trm_fail(err, TRM_ERR_DATA, "texts '%s': has %" PRId64 " lines, and none for row %" PRId64,
                        texts->path, texts->rows, row);
    trm_status status = trm_texts_line(texts, row, &line, &length, err);
    if (status != TRM_OK)
        return status;
    while (length > 0 && (line[length - 1] == '\n' || line[length - 1] == '\r'))
        length--;
    if (!texts->json)
        return put_plain_line(table, texts, row, line, length, err);
    return put_json_line(table, texts, row, line, length, err);
}

bool trm_export_has_ids(const trm_export_rows *rows)
{
    return rows->id != NULL || rows->id_names.count > 0;
}

trm_status trm_table_id(trm_table *table, const trm_export_rows *rows, int64_t row, trm_error *err)
{
    const bool known = row >= 0 && row < rows->rows;
    int64_t length = 0;
    if (rows->id_names.count > 0) {
        const char *name =
            known ? trm_names_get(&rows->id_names, row, &length) : ""; /* a place without a row */
        return trm_table_text(table, name, length, err);
    }
    if (known && rows->ids == TRM_IDS_UNSIGNED)
        trm_table_unsigned(table, rows->id[row]);
    else
        trm_table_whole(table, known && rows->id != NULL ? rows->id[row] : row);
    return TRM_OK;
}

trm_status trm_table_row(trm_table *table, const trm_export_rows *rows, int64_t row, trm_error *err)
{
    if (rows->texts.path != NULL)
        return put_text(table, &rows->texts, row, err);
    return trm_table_id(table, rows, row, err);
}

trm_status trm_table_label(trm_table *table, const trm_export_rows *rows, int64_t row, trm_error *err)
{
    int64_t length = 0;
    if (row < 0 || row >= rows->rows) /* a place without a row */
        return trm_table_text(table, "", 0, err);
    const int64_t label = rows->label[row];
    if (rows->labels->kind == TRM_LABELS_NAMED) {
        const char *name = trm_names_get(&rows->labels->names, label, &length);
        return trm_table_text(table, name, length, err);
    }
    if (rows->labels->kind == TRM_LABELS_UNSIGNED)
        trm_table_unsigned(table, label);
    else
        trm_table_whole(table, label);
    return TRM_OK;
}
