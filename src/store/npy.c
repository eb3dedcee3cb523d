/* Reading headers of .npy files; see npy.h. A header is a literal of Python, of which numpy writes only this form:
 *   {'descr': '<i8', 'fortran_order': False, 'shape': (3, 2), }
 * with the keys in any order, then spaces and a newline. */
#include "store/npy.h"

#include "store/plain.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { LONGEST = 4096, PREFIX = 12 }; /* of the text; magic, version and length at most */

static const char magic[TRM_NPY_MAGIC + 1] = "\x93NUMPY";

bool trm_npy_recognize(const char *head, int64_t bytes)
{
    return bytes >= TRM_NPY_MAGIC && memcmp(head, magic, TRM_NPY_MAGIC) == 0;
}

/* ---- the text ---- */

typedef struct cursor {
    const char *at, *end;
} cursor;

static void skip_spaces(cursor *c)
{
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\t' || *c->at == '\n' || *c->at == '\r'))
        c->at++;
}

static bool peek(cursor *c, char wanted)
{
    skip_spaces(c);
    return c->at < c->end && *c->at == wanted;
}

static bool take(cursor *c, char wanted)
{
    const bool there = peek(c, wanted);
    c->at += there;
    return there;
}

static bool take_word(cursor *c, const char *word)
{
    const size_t length = strlen(word);
    skip_spaces(c);
    const bool there = (size_t)(c->end - c->at) >= length && memcmp(c->at, word, length) == 0;
    c->at += there ? length : 0;
    return there;
}

/* A string without escapes, of less than size bytes. */
static bool take_string(cursor *c, char *text, size_t size)
{
    const char quote = peek(c, '"') ? '"' : '\'';
    size_t length = 0;
    if (!take(c, quote))
        return false;
    for (; c->at < c->end && *c->at != quote; c->at++) {
        if (!isprint((unsigned char)*c->at) || *c->at == '\\' || length + 1 >= size)
            return false;
        text[length++] = *c->at;
    }
    text[length] = '\0';
    return take(c, quote);
}

static bool take_number(cursor *c, int64_t *value)
{
    int digits = 0;
    skip_spaces(c);
    for (*value = 0; c->at < c->end && isdigit((unsigned char)*c->at); c->at++, digits++)
        if (__builtin_mul_overflow(*value, 10, value) || __builtin_add_overflow(*value, *c->at - '0', value))
            return false;
    return digits > 0;
}

/* Byte order, kind and size; behind the size only units of times ("<M8[ns]"). */
static bool read_type(trm_npy *array)
{
    cursor c = {array->type, array->type + strlen(array->type)};
    const char order = c.at < c.end ? *c.at++ : '\0';
    const bool native_is_big = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__;
    array->big_endian = order == '>' || (order == '=' && native_is_big);
    if ((order != '<' && order != '>' && order != '=' && order != '|') || c.at == c.end)
        return false;
    array->kind = *c.at++;
    if (array->kind == 'O') /* its size may be left out: it is refused later, by what it is */
        return true;
    if (!isalpha((unsigned char)array->kind) || c.at == c.end || !isdigit((unsigned char)*c.at) ||
        !take_number(&c, &array->size) || array->size < 1)
        return false;
    array->size *= array->kind == 'U' ? 4 : 1; /* characters of UCS-4 */
    const bool is_time = array->kind == 'M' || array->kind == 'm';
    return (c.at == c.end || (is_time && *c.at == '[')) &&
           (order != '|' || array->size == 1 || strchr("SVa", array->kind) != NULL);
}

static const char *parse_type(cursor *c, trm_npy *array)
{
    if (peek(c, '['))
        return "its values are structures, needs plain numbers";
    if (!take_string(c, array->type, sizeof array->type))
        return "'descr' is no name of a type";
    if (!read_type(array))
        return "'descr' is a type that is not known";
    return array->kind == 'O' ? "its values are Python objects (a pickle), needs plain numbers" : NULL;
}

static const char *parse_order(cursor *c, trm_npy *array)
{
    array->fortran = take_word(c, "True");
    return array->fortran || take_word(c, "False") ? NULL : "'fortran_order' is not True or False";
}

/* (3, 2), (3,), (); Python 2 wrote (3L, 2L). */
static const char *parse_shape(cursor *c, trm_npy *array)
{
    static const char wrong[] = "'shape' is no tuple of whole numbers";
    bool comma = true;
    array->dimensions = 0;
    if (!take(c, '('))
        return wrong;
    while (!peek(c, ')')) {
        if (!comma)
            return wrong;
        if (array->dimensions == TRM_NPY_DIMENSIONS)
            return "'shape' has more dimensions than NumPy allows";
        if (!take_number(c, &array->dimension[array->dimensions++]))
            return wrong;
        take_word(c, "L");
        comma = take(c, ',');
    }
    take(c, ')');
    return array->dimensions == 1 && !comma ? wrong : NULL; /* (3) is a number */
}

static const struct {
    const char *name;
    const char *(*parse)(cursor *c, trm_npy *array);
} keys[] = {{"descr", parse_type}, {"fortran_order", parse_order}, {"shape", parse_shape}};
enum { KEYS = sizeof keys / sizeof *keys };

static const char *parse_pair(cursor *c, trm_npy *array, bool seen[KEYS])
{
    char name[16];
    if (!take_string(c, name, sizeof name) || !take(c, ':'))
        return "it is no dictionary";
    for (int k = 0; k < KEYS; k++) {
        if (strcmp(name, keys[k].name) != 0)
            continue;
        if (seen[k])
            return "it has a key twice";
        seen[k] = true;
        return keys[k].parse(c, array);
    }
    return "it has a key that is not known";
}

/* Bytes of all values, where they fit a file. */
static bool count_bytes(trm_npy *array)
{
    bool empty = false, fits = true;
    array->bytes = array->size;
    for (int d = 0; d < array->dimensions; d++)
        empty = empty || array->dimension[d] == 0;
    for (int d = 0; d < array->dimensions && fits && !empty; d++)
        fits = !__builtin_mul_overflow(array->bytes, array->dimension[d], &array->bytes);
    array->bytes = empty ? 0 : array->bytes;
    return fits;
}

const char *trm_npy_parse(const char *text, int64_t length, trm_npy *array)
{
    cursor c = {text, text + length};
    bool seen[KEYS] = {false}, comma = true;
    memset(array, 0, sizeof *array);
    if (!take(&c, '{'))
        return "it is no dictionary";
    while (!peek(&c, '}')) {
        const char *wrong = comma ? parse_pair(&c, array, seen) : "it is no dictionary";
        if (wrong != NULL)
            return wrong;
        comma = take(&c, ',');
    }
    take(&c, '}');
    skip_spaces(&c);
    if (c.at != c.end)
        return "it goes on behind its dictionary";
    for (int k = 0; k < KEYS; k++)
        if (!seen[k])
            return "it lacks one of 'descr', 'fortran_order' and 'shape'";
    return count_bytes(array) ? NULL : "'shape' is larger than any file";
}

/* ---- the file ---- */

static uint32_t little_endian(const unsigned char *at, int bytes)
{
    uint32_t value = 0;
    for (int i = 0; i < bytes; i++)
        value |= (uint32_t)at[i] << 8 * i;
    return value;
}

/* What is before the text, and how long that is. */
static trm_status read_prefix(const trm_named_file *about, int file, int64_t bytes, int64_t *length,
                              int64_t *start, trm_error *err)
{
    unsigned char head[PREFIX] = {0};
    const trm_plain_name name = {about->kind, about->path};
    trm_status status = trm_plain_read(file, name, head, bytes < PREFIX ? bytes : PREFIX, 0, err);
    if (status != TRM_OK)
        return status;
    const int version = head[TRM_NPY_MAGIC], width = version == 1 ? 2 : 4;
    *start = TRM_NPY_MAGIC + 2 + width;
    if (bytes >= TRM_NPY_MAGIC + 2 && (version < 1 || version > 3 || head[TRM_NPY_MAGIC + 1] != 0))
        return trm_fail(err, TRM_ERR_DATA, "%s '%s': is a .npy file of version %d.%d, needs 1.0, 2.0 or 3.0",
                        about->kind, about->path, version, head[TRM_NPY_MAGIC + 1]);
    *length = little_endian(head + TRM_NPY_MAGIC + 2, width);
    if (bytes < *start || *length > bytes - *start)
        return trm_fail(err, TRM_ERR_DATA, "%s '%s': truncated .npy file: it ends within its header",
                        about->kind, about->path);
    if (*length > LONGEST)
        return trm_fail(err, TRM_ERR_DATA,
                        "%s '%s': the .npy header has %" PRId64 " bytes, one of plain numbers at most %d",
                        about->kind, about->path, *length, LONGEST);
    return TRM_OK;
}

trm_status trm_npy_look(const trm_named_file *about, int file, int64_t bytes, trm_npy *array, trm_error *err)
{
    char text[LONGEST];
    int64_t length = 0, start = 0;
    const trm_plain_name name = {about->kind, about->path};
    trm_status status = read_prefix(about, file, bytes, &length, &start, err);
    if (status == TRM_OK)
        status = trm_plain_read(file, name, text, length, start, err);
    if (status != TRM_OK)
        return status;
    const char *wrong = trm_npy_parse(text, length, array);
    if (wrong != NULL)
        return trm_fail(err, TRM_ERR_DATA, "%s '%s': the .npy header can't be used: %s", about->kind,
                        about->path, wrong);
    array->offset = start + length;
    const int64_t there = bytes - array->offset;
    if (there < array->bytes)
        return trm_fail(err, TRM_ERR_DATA,
                        "%s '%s': truncated .npy file: its array needs %" PRId64 " bytes, %" PRId64
                        " are there: copy it again, or its writer has not finished",
                        about->kind, about->path, array->bytes, there);
    if (there > array->bytes)
        return trm_fail(err, TRM_ERR_DATA,
                        "%s '%s': has %" PRId64 " bytes behind the array of the .npy file: one array a file",
                        about->kind, about->path, there - array->bytes);
    return TRM_OK;
}
