/* Labels of text, CSV and JSON; see label_text.h. */
#include "store/label_text.h"

#include "base/alloc.h"
#include "base/visible.h"
#include "store/claim.h"
#include "store/first_bytes.h"
#include "store/label_json.h"
#include "store/text_scan.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A place in the file, and the last label that was read there. */
typedef struct cursor {
    trm_text_scan *scan;
    const trm_label_text *text;
    char *field;
    int64_t length;
    bool cuts;          /* what is too long is cut, not refused */
    bool there;         /* the record has the column */
    int64_t fields;     /* of the record */
    trm_text_line line; /* of JSON */
} cursor;

struct trm_label_reader {
    trm_named_file about;
    cursor at;
    char *names; /* behind each other, of the last call */
    int64_t room;
};

/* ---- records ---- */

static trm_status begin(const trm_named_file *about, const trm_label_text *text, cursor *at, trm_error *err)
{
    *at = (cursor){.text = text, .field = trm_alloc(TRM_LABEL_MOST + 1, 1)};
    if (at->field == NULL)
        return trm_fail_memory(err, "a label", TRM_LABEL_MOST + 1, 1);
    return trm_text_begin(about, &at->scan, err);
}

static void end(cursor *at)
{
    trm_text_end(&at->scan);
    trm_free(at->field);
    trm_free(at->line.bytes);
    at->field = at->line.bytes = NULL;
}

/* "label" or "id". */
static const char *one_of(const trm_named_file *about)
{
    return strcmp(about->kind, "ids") == 0 ? "id" : "label";
}

static trm_status refuse_empty(const cursor *at, int64_t line, trm_error *err)
{
    char what[64];
    const char *one = one_of(at->scan->about);
    snprintf(what, sizeof what, at->text->csv ? "its %s is empty" : "is empty: one %s a line", one);
    return trm_text_refuse(at->scan, line, what, err);
}

trm_status trm_label_refuse_count(const trm_named_file *about, int64_t labels, const char *below,
                                  int64_t rows, trm_error *err)
{
    return trm_fail(err, TRM_ERR_DATA,
                    "%s '%s': has %" PRId64 " %s%s%s, for %" PRId64 " rows: needs one for each", about->kind,
                    about->path, labels, one_of(about), labels == 1 ? "" : "s", below, rows);
}

/* A byte of the field at hand; kept where it is the column's. */
static trm_status take(cursor *at, int c, bool keep, trm_error *err)
{
    if (c == '\0')
        return trm_text_refuse(at->scan, at->scan->line, TRM_TEXT_NUL, err);
    keep = keep && !(at->cuts && at->length == TRM_LABEL_MOST);
    if (keep && at->length == TRM_LABEL_MOST)
        return trm_text_refuse(at->scan, at->scan->line,
                               "a value has more than 65536 bytes: one short value a row", err);
    if (keep)
        at->field[at->length++] = (char)c;
    at->scan->line += c == '\n';
    at->scan->at++;
    return TRM_OK;
}

/* The inside of quotes; what follows has to end the field. */
static trm_status read_quoted(cursor *at, bool keep, trm_error *err)
{
    const int64_t line = at->scan->line;
    bool closed = false;
    int c;
    at->scan->at++;
    trm_status status = trm_text_peek(at->scan, &c, err);
    while (status == TRM_OK && c != TRM_TEXT_END && !closed) {
        if (c == '"') {
            at->scan->at++;
            status = trm_text_peek(at->scan, &c, err);
            closed = c != '"';
        }
        if (status == TRM_OK && !closed)
            status = take(at, c, keep, err);
        if (status == TRM_OK && !closed)
            status = trm_text_peek(at->scan, &c, err);
    }
    if (status == TRM_OK && !closed)
        return trm_text_refuse(at->scan, line, "a quote does not end", err);
    if (status == TRM_OK && c != TRM_TEXT_END && c != at->text->separator && c != '\n' && c != '\r')
        return trm_text_refuse(at->scan, at->scan->line, "something follows a field in quotes", err);
    return status;
}

/* A field without quotes, up to its separator or the end of the line, of which a carriage return is part. Of a text all of
 * the line is one. */
static trm_status read_plain(cursor *at, bool keep, trm_error *err)
{
    int c;
    trm_status status;
    while ((status = trm_text_peek(at->scan, &c, err)) == TRM_OK && c != TRM_TEXT_END && c != '\n' &&
           !(at->text->csv && c == at->text->separator)) {
        status = take(at, c, keep, err);
        if (status != TRM_OK)
            return status;
    }
    if (keep && at->length > 0 && at->field[at->length - 1] == '\r' && (c == '\n' || c == TRM_TEXT_END))
        at->length--;
    return status;
}

static trm_status read_field(cursor *at, bool keep, trm_error *err)
{
    int c;
    const trm_status status = trm_text_peek(at->scan, &c, err);
    if (status != TRM_OK)
        return status;
    return at->text->csv && c == '"' ? read_quoted(at, keep, err) : read_plain(at, keep, err);
}

static trm_status end_line(cursor *at, trm_error *err)
{
    int c;
    trm_status status = trm_text_peek(at->scan, &c, err);
    if (status == TRM_OK && c == '\r') { /* behind quotes */
        at->scan->at++;
        status = trm_text_peek(at->scan, &c, err);
        if (status == TRM_OK && c != '\n' && c != TRM_TEXT_END)
            return trm_text_refuse(at->scan, at->scan->line, "something follows a field in quotes", err);
    }
    if (status == TRM_OK && c == '\n') {
        at->scan->at++;
        at->scan->line++;
    }
    return status;
}

/* The next record, of which the column is kept; *more is false where there is none. */
static trm_status next_record(cursor *at, bool *more, trm_error *err)
{
    int c;
    if (at->text->json) {
        at->there = true;
        return trm_label_json_next(at->scan, at->text->field, &at->line, at->field, &at->length, more, err);
    }
    trm_status status = trm_text_peek(at->scan, &c, err);
    *more = status == TRM_OK && c != TRM_TEXT_END;
    at->length = at->fields = 0;
    at->there = false;
    bool last = false;
    while (status == TRM_OK && *more && !last) {
        const bool keep = at->fields == at->text->column;
        at->there = at->there || keep;
        at->fields++;
        status = read_field(at, keep, err);
        if (status == TRM_OK)
            status = trm_text_peek(at->scan, &c, err);
        last = status != TRM_OK || !at->text->csv || c != at->text->separator;
        if (!last)
            at->scan->at++;
        else if (status == TRM_OK)
            status = end_line(at, err);
    }
    at->field[at->length] = '\0';
    return status;
}

/* ---- numbers ---- */

enum {
    MOST_DIGITS = 40, /* and signs */
    MOST_POWER = 1000 /* of ten: beyond it a few digits more or less decide nothing */
};

typedef enum sort { SORT_NAME, SORT_SIGNED, SORT_LARGE } sort;

/* Digits without a zero before them, perhaps with a minus. */
static bool is_plain(const char *text)
{
    const char *digit = text + (text[0] == '-');
    if (!isdigit((unsigned char)digit[0]) || (digit[0] == '0' && (digit[1] != '\0' || digit != text)))
        return false;
    return digit[strspn(digit, "0123456789")] == '\0';
}

/* "-12.50e+01" in parts: digits without the point, and the power of ten that they are to be multiplied by. */
static bool split_float(const char *text, int64_t length, char digits[MOST_DIGITS + 1], int64_t *power)
{
    const char *at = text + (text[0] == '-' || text[0] == '+'), *behind = NULL;
    int count = 0, point = 0;
    for (*power = 0; isdigit((unsigned char)*at) || (*at == '.' && point == 0); at++) {
        if (*at != '.')
            digits[count++] = *at;
        *power -= *at != '.' && point;
        point += *at == '.';
    }
    digits[count] = '\0';
    if (count > 0 && (*at == 'e' || *at == 'E')) {
        const bool has_digits = isdigit((unsigned char)at[1 + (at[1] == '-' || at[1] == '+')]);
        const long given = has_digits ? strtol(at + 1, (char **)(uintptr_t)&behind, 10) : 0;
        *power += given < -MOST_POWER ? -MOST_POWER : given > MOST_POWER ? MOST_POWER : given;
        at = has_digits ? behind : at;
    }
    return count > 0 && at == text + length;
}

/* Digit by digit, so that what is no whole number, or another one, is not rounded to it. */
static bool whole_float(const char *text, int64_t length, int64_t *number)
{
    char digits[MOST_DIGITS + 1];
    int64_t power = 0, value = 0;
    if (!split_float(text, length, digits, &power))
        return false;
    for (size_t last = strlen(digits); last > 0 && digits[last - 1] == '0'; power++)
        digits[--last] = '\0';
    bool fits = digits[0] == '\0' || (power >= 0 && power < MOST_DIGITS);
    for (const char *digit = digits; *digit != '\0' && fits; digit++)
        fits = !__builtin_mul_overflow(value, 10, &value) &&
               !__builtin_add_overflow(value, *digit - '0', &value);
    for (int64_t i = 0; i < power && value > 0 && fits; i++)
        fits = !__builtin_mul_overflow(value, 10, &value);
    *number = text[0] == '-' ? -value : value;
    return fits && value <= INT64_C(1) << 53;
}

/* A whole number, as text or as a float up to 2^53; else it is a name. */
static sort number_of(const char *text, int64_t length, int64_t *number)
{
    char *behind = NULL;
    if (length > MOST_DIGITS || (int64_t)strspn(text, "0123456789+-.eE") != length)
        return SORT_NAME;
    errno = 0;
    if (is_plain(text)) {
        *number = strtoll(text, &behind, 10);
        if (errno == 0)
            return SORT_SIGNED;
        errno = 0;
        *number = (int64_t)strtoull(text, &behind, 10);
        return errno == 0 && text[0] != '-' ? SORT_LARGE : SORT_NAME;
    }
    return strpbrk(text, ".eE") != NULL && whole_float(text, length, number) ? SORT_SIGNED : SORT_NAME;
}

/* ---- looking ---- */

/* What labels are, but for the first record, which may be a heading. */
typedef struct tally {
    bool names, large, negative;
    bool first_empty;
} tally;

static void count_in(tally *all, const cursor *at)
{
    int64_t number = 0;
    const sort is = number_of(at->field, at->length, &number);
    all->names = all->names || is == SORT_NAME;
    all->large = all->large || is == SORT_LARGE;
    all->negative = all->negative || (is == SORT_SIGNED && number < 0);
}

/* Every second mark goes when there is no room for more. */
static void mark_record(trm_label_text *text, int64_t record, int64_t at, int64_t line)
{
    if (record % text->step != 0)
        return;
    if (text->marks == TRM_LABEL_MARKS) {
        for (int64_t i = 0; i < TRM_LABEL_MARKS / 2; i++) {
            text->mark[i] = text->mark[2 * i];
            text->line[i] = text->line[2 * i];
        }
        text->marks /= 2;
        text->step *= 2;
        if (record % text->step != 0)
            return;
    }
    text->mark[text->marks] = at;
    text->line[text->marks++] = line;
}

static trm_status check_record(const cursor *at, int64_t line, int64_t record, tally *all, trm_error *err)
{
    char what[192];
    if (!at->there) {
        snprintf(what, sizeof what, "has %" PRId64 " field%s, the %s are in field %" PRId64, at->fields,
                 at->fields == 1 ? "" : "s", at->scan->about->kind, at->text->column + 1);
        return trm_text_refuse(at->scan, line, what, err);
    }
    if (at->text->csv && at->fields > at->text->fields) {
        snprintf(what, sizeof what,
                 "has %" PRId64 " fields, the first line has %" PRId64
                 ": put fields that have the separator in them into quotes",
                 at->fields, at->text->fields);
        return trm_text_refuse(at->scan, line, what, err);
    }
    all->first_empty = all->first_empty || (record == 0 && at->length == 0);
    return at->length > 0 || record == 0 ? TRM_OK : refuse_empty(at, line, err);
}

static trm_status look_at_all(cursor *at, trm_label_text *text, tally *first, tally *others, trm_error *err)
{
    trm_status status = TRM_OK;
    for (bool more = true; more && status == TRM_OK;) {
        const int64_t from = at->scan->at, line = at->scan->line;
        status = next_record(at, &more, err);
        if (status != TRM_OK || !more)
            break;
        mark_record(text, text->records, from, line);
        status = check_record(at, line, text->records, first, err);
        count_in(text->records == 0 ? first : others, at);
        text->records++;
    }
    text->whole = status == TRM_OK;
    return status;
}

/* What the first record says of columns. */
typedef struct heading {
    int64_t fields, found; /* found: the column of the name that is sought, -1: none */
    bool twice, cut;       /* several have that name; not all are listed */
    size_t used;
    char listed[400]; /* "a, b, c", for messages */
} heading;

static void take_heading(const cursor *at, const char *column, heading *all)
{
    char shown[48];
    const bool fits = all->used + sizeof shown + sizeof ", , ..." < sizeof all->listed;
    if (column != NULL && strcmp(at->field, column) == 0) {
        all->twice = all->found >= 0;
        all->found = all->twice ? all->found : all->fields;
    }
    trm_visible(at->field, shown, sizeof shown);
    if (!all->cut)
        all->used += (size_t)snprintf(all->listed + all->used, sizeof all->listed - all->used, "%s%s",
                                      all->fields > 0 ? ", " : "", fits ? shown : "...");
    all->cut = !fits;
    all->fields++;
}

/* Once over the first record, however many fields it has; of long ones the beginning is kept. */
static trm_status read_heading(cursor *at, const char *column, heading *all, trm_error *err)
{
    int c;
    bool more = true;
    *all = (heading){.found = -1};
    at->cuts = true;
    trm_status status = TRM_OK;
    while (status == TRM_OK && more) {
        at->length = 0;
        status = read_field(at, true, err);
        at->field[at->length] = '\0';
        if (status == TRM_OK)
            status = trm_text_peek(at->scan, &c, err);
        if (status != TRM_OK)
            break;
        take_heading(at, column, all);
        more = c == at->text->separator;
        at->scan->at += more;
    }
    at->cuts = false;
    return status;
}

static trm_status refuse_column(const cursor *at, const char *column, const heading *all, trm_error *err)
{
    const trm_named_file *about = at->scan->about;
    if (column == NULL)
        return trm_fail(err, TRM_ERR_DATA,
                        "%s '%s': has %" PRId64
                        " columns: choose one as %s:COLUMN, by its name or its number from 1 on; its first "
                        "line has: %s",
                        about->kind, about->path, all->fields, about->path, all->listed);
    if (all->twice)
        return trm_fail(err, TRM_ERR_DATA,
                        "%s '%s': several columns are called '%s': give the number of one, from 1 on",
                        about->kind, about->path, column);
    return trm_fail(err, TRM_ERR_DATA,
                    "%s '%s': no column '%s': it is a name in the first line or a number from 1 to %" PRId64
                    "; the first line has: %s",
                    about->kind, about->path, column, all->fields, all->listed);
}

/* Which column is meant: one of that name, which a heading has, or of that number. */
static trm_status find_column(cursor *at, const char *column, trm_label_text *text, trm_error *err)
{
    heading all;
    const trm_status status = read_heading(at, column, &all, err);
    if (status != TRM_OK)
        return status;
    text->fields = all.fields;
    if (all.found >= 0 && !all.twice) {
        text->column = all.found;
        text->heading = true;
        return TRM_OK;
    }
    if (column == NULL && all.fields <= 1)
        return TRM_OK;
    const bool is_number =
        column != NULL && column[strspn(column, "0123456789")] == '\0' && strlen(column) < 10;
    if (is_number && !all.twice && atoll(column) >= 1 && atoll(column) <= all.fields) {
        text->column = atoll(column) - 1;
        return TRM_OK;
    }
    return refuse_column(at, column, &all, err);
}

/* One record more than rows is a heading. */
static trm_status settle(const cursor *at, int64_t rows, trm_label_text *text, const tally *first,
                         const tally *others, trm_error *err)
{
    const trm_named_file *about = at->scan->about;
    text->heading = text->heading || (text->csv && text->records == rows + 1);
    const int64_t labels = text->records - text->heading;
    if (labels != rows && labels == rows + 1 && !text->csv && !text->json)
        return trm_fail(err, TRM_ERR_DATA,
                        "%s '%s': has %" PRId64 " %ss, for %" PRId64
                        " rows: needs one for each: is its first line a heading? A text has none",
                        about->kind, about->path, labels, one_of(about), rows);
    if (labels != rows)
        return trm_label_refuse_count(about, labels, text->heading ? " below its heading" : "", rows, err);
    if (!text->heading && first->first_empty)
        return refuse_empty(at, 1, err);
    tally all = *others;
    if (!text->heading) {
        all.names = all.names || first->names;
        all.large = all.large || first->large;
        all.negative = all.negative || first->negative;
    }
    text->numbers = !all.names && !(all.large && all.negative);
    text->is_unsigned = text->numbers && all.large;
    return TRM_OK;
}

trm_status trm_label_text_look(const trm_named_file *about, const char *column, int64_t rows,
                               trm_label_text *text, trm_error *err)
{
    cursor at;
    tally first, others;
    memset(text, 0, sizeof *text); /* it travels as bytes */
    memset(&first, 0, sizeof first);
    memset(&others, 0, sizeof others);
    text->csv = trm_path_is_table(about->path);
    text->json = trm_path_is_json(about->path);
    if (column != NULL && !text->csv && !text->json)
        return trm_fail(err, TRM_ERR_USAGE,
                        "%s '%s': is no .csv, .tsv or .jsonl, so has no columns: leave out ':%s'",
                        about->kind, about->path, column);
    if (text->json && column != NULL && strlen(column) >= sizeof text->field)
        return trm_fail(err, TRM_ERR_USAGE, "%s '%s': a name of a field has at most %d bytes", about->kind,
                        about->path, TRM_LABEL_FIELD - 1);
    if (text->json && column != NULL)
        snprintf(text->field, sizeof text->field, "%s", column);
    text->separator = trm_path_ends(about->path, ".tsv") ? '\t' : ',';
    text->step = 1;
    trm_status status = begin(about, text, &at, err);
    if (status == TRM_OK && text->csv)
        status = find_column(&at, column, text, err);
    if (status == TRM_OK) {
        at.scan->at = at.scan->begins;
        at.scan->line = 1;
        status = look_at_all(&at, text, &first, &others, err);
    }
    if (status == TRM_OK)
        status = settle(&at, rows, text, &first, &others, err);
    end(&at);
    return status;
}

/* ---- reading ---- */

trm_status trm_label_reader_begin(const trm_named_file *about, const trm_label_text *text, int64_t first,
                                  trm_label_reader **reader, trm_error *err)
{
    trm_label_reader *r = *reader = trm_alloc_zero(1, sizeof *r);
    if (r == NULL)
        return trm_fail_memory(err, "what reads labels", 1, sizeof *r);
    r->about = *about;
    trm_status status = begin(&r->about, text, &r->at, err);
    if (status != TRM_OK)
        return status;
    const int64_t record = first + text->heading;
    int64_t mark = record / text->step;
    mark = mark < text->marks ? mark : text->marks - 1;
    if (mark < 0)
        return TRM_OK;
    r->at.scan->at = text->mark[mark];
    r->at.scan->line = text->line[mark];
    for (int64_t i = mark * text->step; i < record && status == TRM_OK; i++) {
        bool more;
        status = next_record(&r->at, &more, err);
    }
    return status;
}

void trm_label_reader_end(trm_label_reader **reader)
{
    if (*reader == NULL)
        return;
    end(&(*reader)->at);
    trm_free((*reader)->names);
    trm_free(*reader);
    *reader = NULL;
}

static trm_status changed(const trm_label_reader *r, trm_error *err)
{
    return trm_fail(err, TRM_ERR_DATA, "%s '%s': the file was changed while it was read", r->about.kind,
                    r->about.path);
}

static trm_status next_label(trm_label_reader *r, trm_error *err)
{
    bool more = false;
    const trm_status status = next_record(&r->at, &more, err);
    return status != TRM_OK ? status : more && r->at.there && r->at.length > 0 ? TRM_OK : changed(r, err);
}

trm_status trm_label_reader_numbers(trm_label_reader *r, int64_t count, int64_t *number, trm_error *err)
{
    trm_status status = TRM_OK;
    for (int64_t i = 0; i < count && status == TRM_OK; i++) {
        status = next_label(r, err);
        if (status == TRM_OK && number_of(r->at.field, r->at.length, &number[i]) == SORT_NAME)
            status = changed(r, err);
    }
    return status;
}

trm_status trm_label_reader_names(trm_label_reader *r, int64_t count, char **name, trm_error *err)
{
    int64_t used = 0;
    trm_status status = TRM_OK;
    for (int64_t i = 0; i < count && status == TRM_OK; i++) {
        status = next_label(r, err);
        if (status != TRM_OK)
            break;
        const int64_t need = used + r->at.length + 1;
        if (need > r->room) {
            char *larger = trm_grown(r->names, used, 2 * need, 1);
            if (larger == NULL)
                return trm_fail_memory(err, "names of labels", 2 * need, 1);
            r->names = larger;
            r->room = 2 * need;
        }
        memcpy(r->names + used, r->at.field, (size_t)r->at.length + 1);
        name[i] = (char *)(uintptr_t)used; /* until names stays where it is */
        used = need;
    }
    for (int64_t i = 0; i < count && status == TRM_OK; i++)
        name[i] = r->names + (uintptr_t)name[i];
    return status;
}
