/* A result as an .npz, which numpy.load reads: a zip file of .npy files, stored as they are.
 *
 * Sizes are written as zip64 has them (APPNOTE 6.3, 4.5.3), always, so that there is one form for small and large files. An
 * entry's checksum is known when it has been written, and then put into its header. */
#include "cli/export.h"

#include "base/alloc.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>

enum { ENTRY_NAME = 48, NPY_HEADER = 128, PIECE_BYTES = 1 << 20, CRC_AT = 14 };

/* What a result has beside its columns. */
static const char *const beside[] = {"/triplets/anchor_start",
                                     "/batches/start",
                                     "/batches/row",
                                     "/degree",
                                     "/isolated",
                                     "/group",
                                     "/queries/start",
                                     "/gradient",
                                     "/gradient/store",
                                     "/gradient/queries",
                                     "/histogram/edges",
                                     "/histogram/counts",
                                     "/histogram/d_ap/edges",
                                     "/histogram/d_ap/counts",
                                     "/histogram/d_an/edges",
                                     "/histogram/d_an/counts",
                                     "/histogram/gap/edges",
                                     "/histogram/gap/counts"};

/* Ids and labels of two sets and names of labels are the other five. */
enum { ENTRIES = TRM_COLUMNS_MOST + sizeof beside / sizeof *beside + 5 };

typedef struct entry {
    char name[ENTRY_NAME];
    uint32_t crc;
    int64_t bytes, at; /* of the entry; of its header in the file */
} entry;

typedef struct zip {
    trm_stream *to;
    uint32_t crc; /* of the entry at hand */
    int count;
    entry entry[ENTRIES];
} zip;

/* ---- zip ---- */

/* A piece at a time: zlib counts bytes in an int. */
static void put_data(zip *z, const void *data, int64_t bytes)
{
    const unsigned char *byte = data;
    for (int64_t at = 0; at < bytes; at += PIECE_BYTES)
        z->crc =
            (uint32_t)crc32(z->crc, byte + at, (uInt)(bytes - at < PIECE_BYTES ? bytes - at : PIECE_BYTES));
    trm_stream_put(z->to, data, bytes);
}

/* A number of so many bytes, low ones first. */
static void put_number(zip *z, int bytes, uint64_t value)
{
    unsigned char byte[8];
    for (int i = 0; i < bytes; i++)
        byte[i] = (unsigned char)(value >> 8 * i);
    trm_stream_put(z->to, byte, bytes);
}

enum {
    SIGNATURE_LOCAL = 0x04034b50,
    SIGNATURE_ENTRY = 0x02014b50,
    SIGNATURE_END64 = 0x06064b50,
    SIGNATURE_LOCATOR = 0x07064b50,
    SIGNATURE_END = 0x06054b50,
    VERSION = 45,
    DATE = 0x0021,
    ZIP64 = 1
};
static const uint64_t elsewhere = 0xffffffff; /* in the place of a size: zip64's extra field has it */

/* What local and central headers have in common. Nothing is said of when: the same result makes the same bytes. */
static void put_common(zip *z, const entry *e)
{
    put_number(z, 2, VERSION);
    put_number(z, 2, 0); /* flags */
    put_number(z, 2, 0); /* stored */
    put_number(z, 2, 0); /* time */
    put_number(z, 2, DATE);
    put_number(z, 4, e->crc);
    put_number(z, 4, elsewhere);
    put_number(z, 4, elsewhere);
    put_number(z, 2, strlen(e->name));
}

static void begin_entry(zip *z, const char *name, int64_t bytes)
{
    entry *e = &z->entry[z->count];
    *e = (entry){.bytes = bytes, .at = trm_stream_place(z->to)};
    snprintf(e->name, sizeof e->name, "%s.npy", name);
    put_number(z, 4, SIGNATURE_LOCAL);
    put_common(z, e);
    put_number(z, 2, 20); /* the extra field */
    trm_stream_put(z->to, e->name, (int64_t)strlen(e->name));
    put_number(z, 2, ZIP64);
    put_number(z, 2, 16);
    put_number(z, 8, (uint64_t)bytes);
    put_number(z, 8, (uint64_t)bytes);
    z->crc = 0;
}

static void end_entry(zip *z)
{
    entry *e = &z->entry[z->count++];
    unsigned char byte[4];
    e->crc = z->crc;
    for (int i = 0; i < 4; i++)
        byte[i] = (unsigned char)(e->crc >> 8 * i);
    trm_stream_patch(z->to, byte, 4, e->at + CRC_AT);
}

static void put_directory(zip *z)
{
    const int64_t at = trm_stream_place(z->to);
    for (int i = 0; i < z->count; i++) {
        const entry *e = &z->entry[i];
        put_number(z, 4, SIGNATURE_ENTRY);
        put_number(z, 2, VERSION);
        put_common(z, e);
        put_number(z, 2, 28);
        put_number(z, 2, 0); /* comment */
        put_number(z, 2, 0); /* disk */
        put_number(z, 2, 0); /* attributes */
        put_number(z, 4, 0);
        put_number(z, 4, elsewhere);
        trm_stream_put(z->to, e->name, (int64_t)strlen(e->name));
        put_number(z, 2, ZIP64);
        put_number(z, 2, 24);
        put_number(z, 8, (uint64_t)e->bytes);
        put_number(z, 8, (uint64_t)e->bytes);
        put_number(z, 8, (uint64_t)e->at);
    }
    const int64_t end = trm_stream_place(z->to);
    put_number(z, 4, SIGNATURE_END64);
    put_number(z, 8, 44);
    put_number(z, 2, VERSION);
    put_number(z, 2, VERSION);
    put_number(z, 8, 0); /* disks */
    put_number(z, 8, (uint64_t)z->count);
    put_number(z, 8, (uint64_t)z->count);
    put_number(z, 8, (uint64_t)(end - at));
    put_number(z, 8, (uint64_t)at);
    put_number(z, 4, SIGNATURE_LOCATOR);
    put_number(z, 4, 0);
    put_number(z, 8, (uint64_t)end);
    put_number(z, 4, 1);
    put_number(z, 4, SIGNATURE_END);
    put_number(z, 4, 0); /* disks */
    put_number(z, 2, 0xffff);
    put_number(z, 2, 0xffff);
    put_number(z, 4, elsewhere);
    put_number(z, 4, elsewhere);
    put_number(z, 2, 0); /* comment */
}

/* ---- npy ---- */

/* The header of an array, version 1, of 128 bytes. */
static void put_npy(zip *z, const char *name, const char *type, int rank, const int64_t size[3],
                    int64_t bytes)
{
    char header[NPY_HEADER + 1], shape[72] = "";
    for (int d = 0; d < rank; d++)
        snprintf(shape + strlen(shape), sizeof shape - strlen(shape), "%" PRId64 "%s", size[d],
                 rank == 1      ? ","
                 : d + 1 < rank ? ", "
                                : "");
    begin_entry(z, name, NPY_HEADER + bytes);
    memset(header, ' ', sizeof header);
    memcpy(header, "\x93NUMPY\x01\x00\x76\x00", 10);
    const int length = snprintf(header + 10, sizeof header - 10,
                                "{'descr': '%s', 'fortran_order': False, 'shape': (%s), }", type, shape);
    header[10 + length] = ' ';
    header[NPY_HEADER - 1] = '\n';
    put_data(z, header, NPY_HEADER);
}

static const char *type_name(trm_array_type type)
{
    return type == TRM_ARRAY_INT64     ? "<i8"
           : type == TRM_ARRAY_FLOAT64 ? "<f8"
           : type == TRM_ARRAY_FLOAT32 ? "<f4"
                                       : "|u1";
}

/* "anchor" of "/triplets/anchor"; where that says too little, with its group: "histogram_d_ap_edges". */
static void name_of(const char *path, bool whole, char name[ENTRY_NAME])
{
    snprintf(name, ENTRY_NAME, "%s", whole ? path + 1 : strrchr(path, '/') + 1);
    for (char *at = name; *at != '\0'; at++)
        *at = *at == '/' ? '_' : *at;
}

static trm_status put_array(trm_export *export, zip *z, const trm_result_array *array, bool whole,
                            trm_error *err)
{
    char name[ENTRY_NAME];
    const int64_t row = array->width * trm_result_value_bytes(array->type), rows = array->size[0],
                  piece = row > 0 && row < PIECE_BYTES ? PIECE_BYTES / row : 1;
    void *data = trm_alloc(piece, (size_t)row);
    trm_status status =
        data == NULL ? trm_fail_memory(err, "a piece of the result", piece, (size_t)row) : TRM_OK;
    name_of(array->name, whole, name);
    if (status == TRM_OK)
        put_npy(z, name, type_name(array->type), array->rank, array->size, rows * row);
    for (int64_t at = 0; at < rows && status == TRM_OK && !trm_stream_failed(z->to); at += piece) {
        const int64_t count = rows - at < piece ? rows - at : piece;
        status = trm_result_read(export->result, array, at, count, data, err);
        if (status == TRM_OK)
            put_data(z, data, count * row);
    }
    if (status == TRM_OK)
        end_entry(z);
    trm_free(data);
    return status;
}

static void put_whole(zip *z, const char *name, bool is_unsigned, int64_t rows, const int64_t *value)
{
    const int64_t size[3] = {rows, 1, 1};
    if (value == NULL)
        return;
    put_npy(z, name, is_unsigned ? "<u8" : "<i8", 1, size, rows * 8);
    put_data(z, value, rows * 8);
    end_entry(z);
}

/* Code points of UTF-8; a byte that is none stands for itself. out: room for length; how many. */
static int64_t decode(const char *text, int64_t length, uint32_t *out)
{
    int64_t count = 0;
    for (int64_t i = 0; i < length;) {
        const unsigned char lead = (unsigned char)text[i];
        const int more = lead >= 0xf0 && lead < 0xf5   ? 3
                         : lead >= 0xe0 && lead < 0xf0 ? 2
                         : lead >= 0xc2 && lead < 0xe0 ? 1
                                                       : 0;
        uint32_t point = more == 0 ? lead : lead & (0x3fu >> more);
        int got = 0;
        while (got < more && i + got + 1 < length && ((unsigned char)text[i + got + 1] & 0xc0) == 0x80)
            point = point << 6 | ((unsigned char)text[i + ++got] & 0x3f);
        const bool whole = got == more && point <= 0x10ffff;
        out[count++] = whole ? point : lead;
        i += whole ? more + 1 : 1;
    }
    return count;
}

static const int64_t names_bytes = INT64_C(1) << 32;

/* Names as numpy's text of one width, which is that of the longest. */
static trm_status put_names(zip *z, const char *entry_name, const trm_names *names, trm_error *err)
{
    if (names->count == 0)
        return TRM_OK;
    int64_t longest = 1, length;
    char type[24];
    const int64_t size[3] = {names->count, 1, 1};
    for (int64_t i = 0; i < names->count; i++) {
        trm_names_get(names, i, &length);
        longest = length > longest ? length : longest;
    }
    if (names->count > names_bytes / 4 / longest) /* one long name would make the others as long */
        return trm_fail(err, TRM_ERR_DATA,
                        "%s: %" PRId64 " strings of up to %" PRId64
                        " bytes are too many for an array; give csv or jsonl",
                        entry_name, names->count, longest);
    uint32_t *points = trm_alloc(longest, sizeof *points);
    if (points == NULL)
        return trm_fail_memory(err, "a name", longest, sizeof *points);
    snprintf(type, sizeof type, "<U%" PRId64, longest);
    put_npy(z, entry_name, type, 1, size, names->count * longest * 4);
    for (int64_t i = 0; i < names->count; i++) {
        const char *name = trm_names_get(names, i, &length);
        memset(points, 0, (size_t)longest * sizeof *points);
        decode(name, length, points);
        put_data(z, points, longest * 4);
    }
    end_entry(z);
    trm_free(points);
    return TRM_OK;
}

/* Ids and labels of a set, a value a row. */
static trm_status put_rows(zip *z, const trm_export_rows *rows, const char *ids, const char *labels,
                           trm_error *err)
{
    put_whole(z, ids, rows->ids == TRM_IDS_UNSIGNED, rows->rows, rows->id);
    const trm_status status = put_names(z, ids, &rows->id_names, err);
    if (rows->label != NULL)
        put_whole(z, labels, rows->labels->kind == TRM_LABELS_UNSIGNED, rows->rows, rows->label);
    return status;
}

/* ---- all of it ---- */

static bool is_column(const trm_export *export, const char *path)
{
    bool found = false;
    for (int c = 0; c < export->columns.count; c++)
        found = found || strcmp(export->columns.array[c].name, path) == 0;
    return found;
}

static trm_status put_beside(trm_export *export, zip *z, trm_error *err)
{
    trm_status status = TRM_OK;
    for (size_t i = 0; i < sizeof beside / sizeof *beside && status == TRM_OK; i++) {
        bool there;
        trm_result_array array;
        status = trm_result_find(export->result, beside[i], &array, &there, err);
        if (status == TRM_OK && there && !is_column(export, beside[i]))
            status = put_array(export, z, &array, strcmp(beside[i], "/triplets/anchor_start") != 0, err);
    }
    return status;
}

/* What labels are numbers of: in the store, where one is given, as its labels are numbered; else in the result. */
static trm_status put_label_names(const trm_export *export, zip *z, trm_error *err)
{
    trm_names names = TRM_NAMES_INIT;
    if (export->base.label != NULL && export->base.labels->kind == TRM_LABELS_NAMED)
        return put_names(z, "label_names", &export->base.labels->names, err);
    trm_status status = trm_result_names(export->result, &names, err);
    if (status == TRM_OK)
        status = put_names(z, "label_names", &names, err);
    trm_names_free(&names);
    return status;
}

trm_status trm_export_npz(trm_export *export, trm_error *err)
{
    zip z = {.to = export->to};
    trm_status status = TRM_OK;
    for (int c = 0; c < export->columns.count && status == TRM_OK; c++)
        status = put_array(export, &z, &export->columns.array[c], false, err);
    if (status == TRM_OK)
        status = put_beside(export, &z, err);
    if (status != TRM_OK)
        return status;
    status = put_rows(&z, &export->base, "ids", "labels", err);
    if (status == TRM_OK)
        status = put_rows(&z, &export->askers, "query_ids", "query_labels", err);
    if (status == TRM_OK)
        status = put_label_names(export, &z, err);
    put_directory(&z);
    export->lines = export->columns.rows;
    return status;
}
