/** What the schemas of entries are made of: see `Kind` of entries.ts. */
import * as v from 'valibot'
import { either, object } from '../text/shapes.js'
import * as values from './values.js'

const { array, check, instance, integer, literal, maxLength, minLength, minValue, number, optional, picklist } = v
const { pipe, string, union } = v

export const schemaTools = {
  ...{ array, check, instance, integer, literal, maxLength, minLength, minValue, number, optional, picklist },
  ...{ pipe, string, union, either, object },
  ...values,
}
export type SchemaTools = typeof schemaTools
