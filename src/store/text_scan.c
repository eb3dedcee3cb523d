/* Reading text number by number; see text_scan.h. */
#include "store/text_scan.h"

#include "base/alloc.h"
#include "base/visible.h"
#include "store/first_bytes.h"
#include "store/plain.h"
#include "store/store_inner.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

enum { TOKEN = 32 };

/* Has the byte at s->at, which is in the file, in the piece. */
static trm_status load(trm_text_scan *s, trm_error *err)
{
    if (s->at >= s->piece_at && s->at < s->piece_at + s->have)
        return TRM_OK;
    const trm_plain_name name = {s->about->kind, s->about->path};
    s->piece_at = s->at;
    s->have = s->bytes - s->at < TRM_TEXT_PIECE ? s->bytes - s->at : TRM_TEXT_PIECE;
    return trm_plain_read(s->file, name, s->piece, s->have, s->at, err);
}

trm_status trm_text_begin(const trm_named_file *about, trm_text_scan **scan, trm_error *err)
{
    trm_text_scan *s = *scan = trm_alloc(1, sizeof *s);
    if (s == NULL)
        return trm_fail_memory(err, "a text to read", 1, sizeof *s);
    s->about = about;
    s->at = s->begins = s->piece_at = s->have = 0;
    s->line = 1;
    s->commas = 0;
    s->hint = NULL;
    trm_status status = trm_inspect_regular(about, &s->file, &s->bytes, err);
    if (status == TRM_OK && s->bytes > 0)
        status = load(s, err);
    if (status != TRM_OK) {
        trm_text_end(scan);
        return status;
    }
    s->at = s->begins = trm_first_bytes_mark(s->piece, s->have);
    return TRM_OK;
}

void trm_text_end(trm_text_scan **scan)
{
    if (*scan != NULL && (*scan)->file >= 0)
        close((*scan)->file);
    trm_free(*scan);
    *scan = NULL;
}

trm_status trm_text_peek(trm_text_scan *s, int *c, trm_error *err)
{
    *c = TRM_TEXT_END;
    if (s->at >= s->bytes)
        return TRM_OK;
    const trm_status status = load(s, err);
    if (status == TRM_OK)
        *c = (unsigned char)s->piece[s->at - s->piece_at];
    return status;
}

static bool separates(int c)
{
    return c == ' ' || c == '\t' || c == ',' || c == '\r';
}

/* A row id is what it is by its digits; more than int64_t holds is none. */
static bool is_number(const char *text, int64_t *value)
{
    int64_t sum = 0;
    const char *digit = text;
    bool good = *digit != '\0';
    for (; good && *digit != '\0'; digit++)
        good = isdigit((unsigned char)*digit) && !__builtin_mul_overflow(sum, 10, &sum) &&
               !__builtin_add_overflow(sum, *digit - '0', &sum);
    *value = sum;
    return good;
}

static trm_status read_number(trm_text_scan *s, int64_t *value, trm_error *err)
{
    char text[TOKEN], shown[4 * TOKEN];
    const int64_t from = s->at;
    int length = 0, c;
    trm_status status;
    while ((status = trm_text_peek(s, &c, err)) == TRM_OK && c != TRM_TEXT_END && c != '\n' &&
           !separates(c)) {
        if (length < TOKEN - 1)
            text[length++] = (char)(c == 0 ? '?' : c);
        s->at++;
    }
    text[length] = '\0';
    const bool whole = s->at - from == length;
    if (status != TRM_OK || (is_number(text, value) && whole))
        return status;
    trm_visible(text, shown, sizeof shown);
    const bool heading = from == s->begins && isalpha((unsigned char)text[0]);
    return trm_fail(err, TRM_ERR_DATA,
                    "%s '%s': line %" PRId64
                    ": '%s%s' is not a row id, which are whole numbers from 0 on%s%s%s",
                    s->about->kind, s->about->path, s->line, shown, whole ? "" : "...",
                    heading ? "; a heading must begin with '#'" : "", s->hint != NULL ? "; " : "",
                    s->hint != NULL ? s->hint : "");
}

trm_status trm_text_next(trm_text_scan *s, bool begins_line, trm_text_token *what, int64_t *value,
                         trm_error *err)
{
    int c;
    trm_status status = TRM_OK;
    s->commas = 0;
    while (status == TRM_OK && (status = trm_text_peek(s, &c, err)) == TRM_OK && separates(c)) {
        s->commas += c == ',' && s->commas < 2; /* more than one is all that anybody asks */
        s->at++;
    }
    while (status == TRM_OK && begins_line && c == '#') {
        do
            s->at++;
        while ((status = trm_text_peek(s, &c, err)) == TRM_OK && c != TRM_TEXT_END && c != '\n');
    }
    if (status != TRM_OK)
        return status;
    *what = c == TRM_TEXT_END ? TRM_TEXT_FILE : c == '\n' ? TRM_TEXT_LINE : TRM_TEXT_NUMBER;
    if (*what == TRM_TEXT_NUMBER)
        return read_number(s, value, err);
    s->at += c == '\n';
    s->line += c == '\n';
    return TRM_OK;
}

/* Where the next '\n' in [s->at, to) is, s->at goes behind it; or false: s->at is `to`. */
static trm_status pass_line(trm_text_scan *s, int64_t to, bool *found, trm_error *err)
{
    trm_status status = TRM_OK;
    for (*found = false; s->at < to && !*found && status == TRM_OK;) {
        status = load(s, err);
        if (status != TRM_OK)
            break;
        const int64_t in = s->at - s->piece_at;
        const int64_t left = s->have - in < to - s->at ? s->have - in : to - s->at;
        const char *end = memchr(s->piece + in, '\n', (size_t)left);
        *found = end != NULL;
        s->at += end != NULL ? end - (s->piece + in) + 1 : left;
    }
    return status;
}

trm_status trm_text_line_start(trm_text_scan *s, int64_t from, int64_t *start, trm_error *err)
{
    bool found = false;
    s->at = from - 1;
    const trm_status status = from > s->begins ? pass_line(s, s->bytes, &found, err) : TRM_OK;
    *start = from > s->begins ? s->at : s->begins;
    return status;
}

trm_status trm_text_count_lines(trm_text_scan *s, int64_t from, int64_t to, int64_t *lines, trm_error *err)
{
    bool found = true;
    trm_status status = TRM_OK;
    *lines = 0;
    for (s->at = from; found && status == TRM_OK;) {
        status = pass_line(s, to, &found, err);
        *lines += found;
    }
    return status;
}

trm_status trm_text_read_line(trm_text_scan *s, trm_text_line *line, bool *there, trm_error *err)
{
    const int64_t from = s->at, most = INT64_C(1) << 30;
    bool ended = false;
    trm_status status = pass_line(s, s->bytes, &ended, err);
    *there = status == TRM_OK && s->at > from;
    line->length = s->at - from - ended;
    if (status == TRM_OK && line->length > most)
        return trm_text_refuse(s, s->line, "is longer than 1 GB", err);
    if (status == TRM_OK && line->length >= line->room) {
        const int64_t room = 2 * line->length + 1;
        char *larger = trm_grown(line->bytes, 0, room, 1);
        if (larger == NULL)
            return trm_fail_memory(err, "a line", room, 1);
        line->bytes = larger;
        line->room = room;
    }
    const trm_plain_name name = {s->about->kind, s->about->path};
    if (status == TRM_OK)
        status = trm_plain_read(s->file, name, line->bytes, line->length, from, err);
    if (status == TRM_OK && line->length > 0 && line->bytes[line->length - 1] == '\r')
        line->length--;
    s->line += ended;
    return status;
}

trm_status trm_text_refuse(const trm_text_scan *s, int64_t line, const char *what, trm_error *err)
{
    return trm_fail(err, TRM_ERR_DATA, "%s '%s': line %" PRId64 ": %s", s->about->kind, s->about->path, line,
                    what);
}
