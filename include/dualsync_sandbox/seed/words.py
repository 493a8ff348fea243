"""Invented words the seed builds its names from: places, trades and kinds of work, none of them anybody's name."""

from __future__ import annotations

PLACES = (
    "Aldermoor", "Ashcombe Vale", "Brackwater", "Cindervale", "Copperfold", "Dunmarrow", "Eastmere", "Fallowdene",
    "Fernlea", "Glasswick", "Greyhollow", "Harrowgate Fields", "Highmarsh", "Inkerford", "Juniper Bay", "Kestrel Point",
    "Larkmoor", "Lowbridge", "Marlstone", "Mistral Heights", "Netherby Sands", "Northgill", "Oakhanger", "Orrin Falls",
    "Pebblebrook", "Pinecrest Ridge", "Quillmere", "Redwater", "Ravelstone", "Saltmarsh", "Silverlode", "Stonewick",
    "Tarnside", "Thistledown", "Umberley", "Valebrook", "Westering", "Whinfell", "Willowmere", "Yarrowdale",
)  # fmt: skip
"""Places that stand in the names of customers, vendors, projects and workers."""

TRADES = (
    "Logistics", "Water Works", "Foods", "Rail Depot", "Power Grid", "Paper Mill", "Shipyard", "Brewery", "Glassworks",
    "Museum Trust", "Cold Storage", "Timber", "Insurance Office", "Harbour Board", "Textiles", "Instruments",
    "Ceramics", "Data Centre", "Packaging", "Tramways", "Orchards", "Foundry", "Laboratories", "Car Park Operations",
    "Wind Farm",
)  # fmt: skip
"""What a customer does; with a place it makes the name of an organisation."""

SUPPLIES = (
    "Survey Services", "Scaffolding", "Office Supplies", "Translation Bureau", "Freight", "Staffing Pool",
    "Cable and Wire", "Soil Testing", "Catering", "Crane Hire",
)  # fmt: skip
"""What a vendor supplies."""

WORKS = (
    "Warehouse relayout", "Pump station upgrade", "Billing system rollout", "Site survey", "Control room refit",
    "Energy audit", "Network renewal", "Archive digitisation", "Safety review", "Loading bay extension",
    "Training programme", "Sensor installation", "Data migration", "Roof replacement study", "Fleet planning",
    "Quality handbook", "Process mapping", "Lighting conversion", "Ticketing pilot", "Cooling plant design",
)  # fmt: skip
"""What a project is about."""

PHASES = ("Preparation", "Design", "Delivery", "Acceptance", "Handover")
"""Top level of a task tree."""

STEPS = (
    "Kick-off workshop", "Collect requirements", "Measure on site", "Draft concept", "Review concept", "Configure",
    "Install equipment", "Test run", "Train users", "Write report", "Clear open points", "Final inspection",
)  # fmt: skip
"""Lower levels of a task tree."""

GIVEN = (
    "Alder", "Briar", "Cedar", "Clover", "Ember", "Fern", "Hazel", "Heath", "Ivy", "Juniper", "Laurel", "Linden",
    "Marlow", "Olive", "Reed", "Rowan", "Sage", "Sorrel", "Tansy", "Willow",
)  # fmt: skip
"""First names of workers and private customers: plants, so that nobody is meant."""

FAMILY = (
    "Ashfield", "Barrowmere", "Coldwater", "Dunlin", "Eastwick", "Fenbrook", "Glenmoss", "Highfold", "Inglenook",
    "Kelstone", "Longacre", "Millrace", "Northfield", "Oxbow", "Plainmoor", "Quarrypool", "Riversend", "Stonebeck",
    "Thornybank", "Underhill-Moor", "Vinefield", "Westbourne", "Yewbarrow",
)  # fmt: skip
"""Last names of workers and private customers: landscapes."""

CREDIT_RATINGS = ("", "Good", "Excellent", "Fair")
MEMOS = ("", "Invoices by e-mail only", "Purchase order number is mandatory", "Framework agreement until 2028")
