// Credo's storage in memory, of any generation of Credo. Instances of one mediator are given the same
// one, as they would share a database.

export class MemoryStorage {
  records = new Map();

  // `credo`: what @credo-ts/core exports.
  constructor(credo) {
    this.credo = credo;
  }

  async save(_agentContext, record) {
    const key = keyOf(record.type, record.id);
    if (this.records.has(key)) {
      throw new this.credo.RecordDuplicateError(`${key} exists already`, { recordType: record.type });
    }
    this.put(record);
  }

  async update(_agentContext, record) {
    this.expect(record.type, record.id);
    this.put(record);
  }

  async delete(_agentContext, record) {
    this.expect(record.type, record.id);
    this.records.delete(keyOf(record.type, record.id));
  }

  async deleteById(_agentContext, recordClass, id) {
    this.expect(recordClass.type, id);
    this.records.delete(keyOf(recordClass.type, id));
  }

  async getById(_agentContext, recordClass, id) {
    return this.recordOf(this.expect(recordClass.type, id), recordClass);
  }

  async getAll(_agentContext, recordClass) {
    return this.select(recordClass, () => true);
  }

  async findByQuery(_agentContext, recordClass, query, { limit = Infinity, offset = 0 } = {}) {
    return this.select(recordClass, ({ tags }) => matches(tags, query)).slice(offset, offset + limit);
  }

  put(record) {
    record.updatedAt = new Date();
    this.records.set(keyOf(record.type, record.id), {
      type: record.type,
      id: record.id,
      value: this.credo.JsonTransformer.serialize(record),
      tags: structuredClone({ ...record.getTags() }),
    });
  }

  expect(type, id) {
    const stored = this.records.get(keyOf(type, id));
    if (stored) return stored;
    throw new this.credo.RecordNotFoundError(`there is no ${type} ${id}`, { recordType: type });
  }

  select(recordClass, wanted) {
    return [...this.records.values()]
      .filter((stored) => stored.type === recordClass.type && wanted(stored))
      .map((stored) => this.recordOf(stored, recordClass));
  }

  recordOf({ id, value, tags }, recordClass) {
    const record = this.credo.JsonTransformer.deserialize(value, recordClass);
    record.id = id;
    record.replaceTags(structuredClone(tags));
    return record;
  }
}

function keyOf(type, id) {
  return `${type} ${id}`;
}

function matches(tags, { $and = [], $or, $not, ...wanted }) {
  return (
    $and.every((query) => matches(tags, query)) &&
    (!$or || $or.some((query) => matches(tags, query))) &&
    (!$not || !matches(tags, $not)) &&
    Object.entries(wanted).every(([name, value]) => value === undefined || has(tags[name], value))
  );
}

function has(tag, value) {
  if (!Array.isArray(value)) return tag === value;
  return Array.isArray(tag) && value.every((item) => tag.includes(item));
}
